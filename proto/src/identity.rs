//! Valid user ids, device ids and device names: one rule, applied by the library, the server and
//! the ticket tool.

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
    (1..=DEVICE_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// A device's name in a form safe to display: without control characters and characters that change
/// the direction of text, and cut to 64 bytes at a character boundary. People name their devices as
/// they like; no name is a reason to refuse one.
pub fn device_name(text: &str) -> String {
    let shown = text.chars().filter_map(|c| match c {
        c if c.is_whitespace() => Some(' '),
        '\u{feff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        c if c.is_control() => None,
        c => Some(c),
    });
    let name: String = shown.collect();
    let name = name.trim();
    let cut = &name[..name.floor_char_boundary(DEVICE_MAX)];
    // What would join to a next character that is no longer there.
    let cut = if cut.len() < name.len() {
        cut.trim_end_matches('\u{200d}')
    } else {
        cut
    };
    cut.trim_end().to_owned()
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
            assert!(!is_user_id(bad) && !is_device_id(bad));
        }
    }

    #[test]
    fn a_device_id_has_1_to_64_bytes() {
        assert!(!is_device_id(""));
        assert!(is_device_id(&"d".repeat(64)) && !is_device_id(&"d".repeat(65)));
    }

    #[test]
    fn a_device_name_is_taken_as_people_write_it() {
        for (given, name) in [
            ("", ""),
            ("Anna’s iPhone 📱", "Anna’s iPhone 📱"),
            ("张伟的手机", "张伟的手机"),
            (" Tablet\n", "Tablet"),
            ("\u{feff}Living\troom\u{7}\u{85}", "Living room"),
            ("\u{202e}enohp\u{202c}", "enohp"),
            ("👩\u{200d}💻", "👩\u{200d}💻"),
        ] {
            assert_eq!(device_name(given), name, "{given:?}");
        }
    }

    #[test]
    fn a_long_device_name_is_cut_at_a_character() {
        assert_eq!(device_name(&"x".repeat(65)), "x".repeat(64));
        assert_eq!(device_name(&"手".repeat(40)), "手".repeat(21));
        let joined = format!("{}👩\u{200d}💻", "x".repeat(57));
        assert_eq!(device_name(&joined), format!("{}👩", "x".repeat(57)));
        assert_eq!(
            device_name(&format!("{} y", "x".repeat(63))),
            "x".repeat(63)
        );
    }
}
