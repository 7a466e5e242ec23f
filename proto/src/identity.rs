//! Who may be named: the one rule for user ids and for device ids and names, applied alike in the
//! library, the server and the ticket tool.

/// The longest user id, in bytes of UTF-8.
pub const USER_ID_MAX: usize = 32;
/// The longest device id and device name, in bytes of UTF-8.
pub const DEVICE_MAX: usize = 64;
/// The longest ticket, in bytes.
pub const USER_SIG_MAX: usize = 4096;

/// 1 to 32 bytes without control characters. A line feed in a user id would let its owner forge
/// the signed text of a ticket.
pub fn is_user_id(text: &str) -> bool {
    (1..=USER_ID_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// 1 to 64 bytes without control characters.
pub fn is_device_id(text: &str) -> bool {
    !text.is_empty() && is_device_name(text)
}

/// Up to 64 bytes without control characters.
pub fn is_device_name(text: &str) -> bool {
    text.len() <= DEVICE_MAX && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_has_1_to_32_bytes() {
        assert!(!is_user_id(""));
        assert!(is_user_id(&"a".repeat(32)));
        assert!(!is_user_id(&"a".repeat(33)));
        assert!(is_user_id("用户_1"));
        assert!(!is_user_id(&"用".repeat(11)), "33 bytes of UTF-8");
    }

    #[test]
    fn control_characters_are_in_no_name() {
        for bad in ["a\nb", "\0", "a\x7f", "\u{85}"] {
            assert!(!is_user_id(bad) && !is_device_id(bad) && !is_device_name(bad));
        }
    }

    #[test]
    fn a_device_name_may_be_empty_and_a_device_id_may_not() {
        assert!(is_device_name("") && !is_device_id(""));
        assert!(is_device_id(&"d".repeat(64)) && !is_device_id(&"d".repeat(65)));
    }
}
