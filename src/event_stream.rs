//! Parses server-sent events byte by byte, with bounds on lines and events.

/// The longest accepted line, in bytes.
const LINE_MAX: usize = 32 * 1024;
/// The most data accepted in one event, in bytes.
const DATA_MAX: usize = 64 * 1024;

/// What the bytes completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// An event.
    Event {
        /// Its name; "message" if the stream names none.
        name: String,
        /// Its data lines, joined by line feeds.
        data: String,
    },
    /// A comment: the stream is alive.
    Comment,
    /// A line or an event exceeded its bound. The stream can no longer be trusted.
    TooLong,
}

/// The parser of one stream.
#[derive(Default)]
pub(crate) struct EventStream {
    line: Vec<u8>,
    /// The last byte was a carriage return, so a line feed right after it ends no second line.
    after_return: bool,
    /// A line has ended. A byte order mark is only valid before that.
    began: bool,
    name: String,
    data: Option<String>,
    broken: bool,
}

impl EventStream {
    /// Takes bytes and passes on what they complete; nothing after [`Item::TooLong`].
    pub(crate) fn feed(&mut self, bytes: &[u8], tell: &mut impl FnMut(Item)) {
        for &byte in bytes {
            if self.broken {
                return;
            }
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => self.end_line(tell),
                _ if self.line.len() == LINE_MAX => self.break_off(tell),
                _ => self.line.push(byte),
            }
        }
    }

    fn break_off(&mut self, tell: &mut impl FnMut(Item)) {
        self.broken = true;
        self.line = Vec::new();
        self.data = None;
        tell(Item::TooLong);
    }

    fn end_line(&mut self, tell: &mut impl FnMut(Item)) {
        let line = std::mem::take(&mut self.line);
        let mut text = String::from_utf8_lossy(&line);
        if !std::mem::replace(&mut self.began, true)
            && let Some(rest) = text.strip_prefix('\u{feff}')
        {
            text = rest.to_owned().into();
        }
        if text.is_empty() {
            return self.end_event(tell);
        }
        if text.starts_with(':') {
            return tell(Item::Comment);
        }
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.name = value.to_owned(),
            "data" => {
                let data = match self.data.take() {
                    Some(data) => data + "\n" + value,
                    None => value.to_owned(),
                };
                if data.len() > DATA_MAX {
                    return self.break_off(tell);
                }
                self.data = Some(data);
            }
            // "id" and "retry" are for clients that reconnect on their own; other fields are
            // unknown.
            _ => {}
        }
    }

    fn end_event(&mut self, tell: &mut impl FnMut(Item)) {
        let name = std::mem::take(&mut self.name);
        if let Some(data) = self.data.take() {
            let name = if name.is_empty() {
                "message".to_owned()
            } else {
                name
            };
            tell(Item::Event { name, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Vec<Item> {
        let mut items = Vec::new();
        EventStream::default().feed(bytes, &mut |item| items.push(item));
        items
    }

    fn event(name: &str, data: &str) -> Item {
        Item::Event {
            name: name.into(),
            data: data.into(),
        }
    }

    #[test]
    fn an_event_ends_with_an_empty_line() {
        assert_eq!(
            parse(b"event: kicked\ndata: {}\n\n"),
            [event("kicked", "{}")]
        );
        assert_eq!(parse(b"event: kicked\ndata: {}\n"), []);
    }

    #[test]
    fn lines_end_with_lf_cr_or_crlf() {
        for end in ["\n", "\r", "\r\n"] {
            let text = format!("event: a{end}data: 1{end}{end}: hb{end}data: 2{end}{end}");
            assert_eq!(
                parse(text.as_bytes()),
                [event("a", "1"), Item::Comment, event("message", "2")]
            );
        }
    }

    #[test]
    fn data_lines_are_joined_and_one_space_is_taken_off() {
        assert_eq!(
            parse(b"data:  a\ndata\ndata:b\n\n"),
            [event("message", " a\n\nb")]
        );
    }

    #[test]
    fn a_byte_order_mark_is_skipped_at_the_start_alone() {
        assert_eq!(
            parse("\u{feff}data: \u{feff}\n\n".as_bytes()),
            [event("message", "\u{feff}")]
        );
    }

    #[test]
    fn an_event_without_data_is_none() {
        assert_eq!(parse(b"event: a\n\nid: 1\nretry: 2\nother: 3\n\n"), []);
    }

    #[test]
    fn a_line_beyond_its_bound_breaks_the_stream() {
        let mut text = vec![b'x'; LINE_MAX + 1];
        text.extend(b"\ndata: 1\n\n");
        assert_eq!(parse(&text), [Item::TooLong]);
    }

    #[test]
    fn an_event_beyond_its_bound_breaks_the_stream() {
        let line = format!("data: {}\n", "x".repeat(LINE_MAX - 10));
        assert_eq!(parse(line.repeat(3).as_bytes()), [Item::TooLong]);
    }

    proptest! {
        #[test]
        fn any_split_into_chunks_gives_the_same_events(
            lines in prop::collection::vec("(event: [a-z]{0,3}|data: [a-zé]{0,5}|: hb|)(\n|\r|\r\n)", 0..30),
            cut in 1usize..7,
        ) {
            let text = lines.concat();
            let mut items = Vec::new();
            let mut parser = EventStream::default();
            for chunk in text.as_bytes().chunks(cut) {
                parser.feed(chunk, &mut |item| items.push(item));
            }
            prop_assert_eq!(items, parse(text.as_bytes()));
        }

        #[test]
        fn garbage_is_borne(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
            parse(&bytes);
        }
    }
}
