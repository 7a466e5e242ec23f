//! Where and how a connection can break, and which combinations exist.

/// Where a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before a byte is read.
    Connect,
    /// In the TLS handshake, after the client's hello.
    Tls,
    /// When the whole request has been read, and before the server has seen any of it.
    Request,
    /// When the server has acted and answered, before the client has seen any of the answer.
    Answer,
    /// In the middle of the answer's head.
    Head,
    /// In the middle of the answer's body: of a stream's first event.
    Body,
    /// On a stream that is open.
    Stream,
}

/// How it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is neither accepted nor refused. Behind an open connection, a black hole is
    /// `HalfOpen`.
    BlackHole,
    /// The connection is closed in an orderly way, without an answer.
    Drop,
    /// The connection is reset.
    Reset,
    /// The peer has vanished: bytes are swallowed, and nothing comes back, not even an end.
    HalfOpen,
    /// Bytes arrive one at a time.
    Drip,
    /// A few more bytes, then an orderly end.
    Truncate,
    /// Meaningless bytes, then silence.
    Garbage,
    /// A gateway's error page.
    Page502,
    /// A captive portal that redirects.
    Redirect,
    /// A captive portal that answers 200 with its own page.
    Portal,
    /// A man in the middle says that the ticket has expired.
    FalseVerdict,
    /// The same with the protocol's header, but not for this request.
    FalseEcho,
    /// A certificate for another name.
    WrongName,
    /// A certificate from an unknown authority.
    UnknownAuthority,
    /// An expired certificate.
    Expired,
}

impl Fault {
    pub const ALL: [Fault; 15] = [
        Fault::BlackHole,
        Fault::Drop,
        Fault::Reset,
        Fault::HalfOpen,
        Fault::Drip,
        Fault::Truncate,
        Fault::Garbage,
        Fault::Page502,
        Fault::Redirect,
        Fault::Portal,
        Fault::FalseVerdict,
        Fault::FalseEcho,
        Fault::WrongName,
        Fault::UnknownAuthority,
        Fault::Expired,
    ];

    /// Whether such a fault exists at `place`. A missing combination is impossible, or the same as
    /// another.
    pub fn can_be(self, place: Place) -> bool {
        use Fault::*;
        match place {
            // There has been no request: any answer would be an answer to the request.
            Place::Connect => matches!(self, BlackHole | Drop | Reset | HalfOpen),
            Place::Tls => !matches!(self, BlackHole | Portal | FalseVerdict | FalseEcho),
            // Somebody answers in the server's place, or nobody does.
            Place::Request => matches!(
                self,
                Drop | Reset
                    | HalfOpen
                    | Garbage
                    | Page502
                    | Redirect
                    | Portal
                    | FalseVerdict
                    | FalseEcho
            ),
            // The server's own answer does not get through. After a part of it there is no page,
            // and a head that breaks off has been truncated.
            Place::Answer => matches!(self, Drop | Reset | HalfOpen | Drip | Truncate),
            Place::Head => matches!(self, Drop | Reset | HalfOpen | Drip),
            Place::Body => matches!(self, Drop | Reset | HalfOpen | Drip | Garbage),
            Place::Stream => matches!(self, Drop | Reset | HalfOpen | Drip | Truncate | Garbage),
        }
    }

    /// Its name in a narrow column.
    pub fn label(self) -> &'static str {
        match self {
            Fault::BlackHole => "black hole",
            Fault::Drop => "drop",
            Fault::Reset => "reset",
            Fault::HalfOpen => "half-open",
            Fault::Drip => "drip",
            Fault::Truncate => "truncate",
            Fault::Garbage => "garbage",
            Fault::Page502 => "502 page",
            Fault::Redirect => "redirect",
            Fault::Portal => "portal",
            Fault::FalseVerdict => "401",
            Fault::FalseEcho => "401+header",
            Fault::WrongName => "name",
            Fault::UnknownAuthority => "authority",
            Fault::Expired => "expired",
        }
    }

    /// What is sent instead of what would come.
    pub(super) fn says(self) -> Option<String> {
        let verdict = r#"{"code":70001,"message":"expired","instance":"","seq":0}"#;
        let json = "Content-Type: application/json";
        let html = "Content-Type: text/html";
        Some(match self {
            // Longer than any part of an answer that was announced already.
            Fault::Garbage => "\x16\x03\x03\x00\x05 this is not it\r\n\r\n".repeat(100),
            Fault::Page502 => page("502 Bad Gateway", html, "<h1>Bad Gateway</h1>"),
            Fault::Redirect => page("302 Found", "Location: http://portal.invalid/", ""),
            Fault::Portal => page("200 OK", html, "<h1>Welcome, please pay</h1>"),
            Fault::FalseVerdict => page("401 Unauthorized", json, verdict),
            Fault::FalseEcho => page(
                "401 Unauthorized",
                &format!("{json}\r\nTim-Protocol: 1"),
                verdict,
            ),
            _ => return None,
        })
    }
}

fn page(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
