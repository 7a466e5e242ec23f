//! What files, forms and clipboards leave at the edges of a text: byte order marks, line ends,
//! white space.

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text without anything extra at its edges: for tickets, keys, addresses and other texts
/// without white space of their own.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == BYTE_ORDER_MARK)
}

/// The text without a byte order mark and line ends at its edges: for texts that may end with a
/// space.
pub fn without_line_ends(text: &str) -> &str {
    text.trim_matches(['\r', '\n', BYTE_ORDER_MARK])
}

/// What is at an edge of the text, for a message: "ends with a blank".
pub fn named(text: &str) -> Option<&'static str> {
    let kind = |c: char| match c {
        BYTE_ORDER_MARK => Some(0),
        '\r' | '\n' => Some(1),
        c if c.is_whitespace() => Some(2),
        _ => None,
    };
    let begins = [
        "begins with a byte order mark",
        "begins with a line end",
        "begins with a blank",
    ];
    let ends = [
        "ends with a byte order mark",
        "ends with a line end",
        "ends with a blank",
    ];
    let (first, last) = (text.chars().next()?, text.chars().next_back()?);
    let first = kind(first).map(|kind| begins[kind]);
    first.or_else(|| kind(last).map(|kind| ends[kind]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_at_the_edges_is_taken_off_and_nothing_within() {
        for text in [
            "a b",
            "a b\n",
            "\u{feff}a b\r\n",
            " \ta b\u{a0}",
            "\n\u{feff} a b",
        ] {
            assert_eq!(trimmed(text), "a b", "{text:?}");
        }
        assert_eq!(trimmed(" \r\n\u{feff}"), "");
        assert_eq!(without_line_ends("\u{feff} a \r\n"), " a ");
    }

    #[test]
    fn what_stands_at_an_edge_has_a_name() {
        for (text, name) in [
            ("a", None),
            ("", None),
            ("a b", None),
            ("a ", Some("ends with a blank")),
            ("a\n", Some("ends with a line end")),
            ("\u{feff}a", Some("begins with a byte order mark")),
            ("\ta", Some("begins with a blank")),
        ] {
            assert_eq!(named(text), name, "{text:?}");
        }
    }
}
