//! The PROXY protocol, versions 1 and 2: a header in which a proxy announces its client before the
//! client's first byte.

use proxy_header::{ParseConfig, ProxyHeader};
use std::io;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The start of a version 2 header.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest version 1 header, with its line end.
const LINE_MAX: usize = 107;
/// The most that version 2 may carry after the addresses.
const REST_MAX: usize = 4096;

/// Reads the header and nothing after it. `None`: the proxy speaks for itself, for instance for a
/// health check.
pub async fn client<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<IpAddr>> {
    let mut bytes = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut bytes).await?;
    if bytes == SIGNATURE {
        let mut rest = [0; 4];
        stream.read_exact(&mut rest).await?;
        bytes.extend_from_slice(&rest);
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if length > REST_MAX {
            return Err(bad("too long"));
        }
        let start = bytes.len();
        bytes.resize(start + length, 0);
        stream.read_exact(&mut bytes[start..]).await?;
    } else if bytes.starts_with(b"PROXY ") {
        while !bytes.ends_with(b"\r\n") {
            if bytes.len() == LINE_MAX {
                return Err(bad("too long"));
            }
            bytes.push(stream.read_u8().await?);
        }
    } else {
        return Err(bad("missing"));
    }
    let parsed = ProxyHeader::parse(&bytes, ParseConfig::default());
    let (header, _) = parsed.map_err(|_| bad("unreadable"))?;
    Ok(header
        .proxied_address()
        .map(|addresses| addresses.source.ip()))
}

fn bad(what: &str) -> io::Error {
    let what = format!("the header of the PROXY protocol is {what}");
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parsed header, and the bytes left after it.
    fn read(bytes: &[u8]) -> (Result<Option<IpAddr>, String>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut rest = bytes;
        let client = runtime.block_on(client(&mut rest));
        (client.map_err(|error| error.to_string()), rest.to_vec())
    }

    fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [
            &SIGNATURE[..],
            &[0x20 | command, family],
            &length,
            rest,
            b"GET /",
        ]
        .concat()
    }

    #[test]
    fn both_versions_name_the_client_and_leave_what_follows() {
        let v4 = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
        let mut v6 = [0; 36];
        v6[0..2].copy_from_slice(&[0x20, 0x01]);
        v6[15] = 1;
        for (bytes, expected) in [
            (
                b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\nGET /".to_vec(),
                Some("203.0.113.7"),
            ),
            (
                b"PROXY TCP6 2001::1 2001::2 4711 80\r\nGET /".to_vec(),
                Some("2001::1"),
            ),
            (b"PROXY UNKNOWN\r\nGET /".to_vec(), None),
            (second(1, 0x11, &v4), Some("203.0.113.7")),
            (second(1, 0x21, &v6), Some("2001::1")),
            (
                second(1, 0x11, &[&v4[..], &[3, 0, 4, 1, 2, 3, 4]].concat()),
                Some("203.0.113.7"),
            ),
            (second(0, 0, &[]), None),
        ] {
            let (client, rest) = read(&bytes);
            let expected = expected.map(|text| text.parse::<IpAddr>().unwrap());
            assert_eq!(client, Ok(expected), "{bytes:?}");
            assert_eq!(rest, b"GET /", "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let long = format!("PROXY TCP4 {}\r\n", "1".repeat(200));
        let mut too_long = second(1, 0x11, &[]);
        too_long[14] = 0xff;
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: tim\r\n\r\n"[..],
            b"PROXY TCP4 not.an.address 10.0.0.1 1 2\r\n",
            long.as_bytes(),
            &too_long,
            &second(1, 0x11, &[1, 2]),
            &SIGNATURE[..5],
            b"",
        ] {
            assert!(read(bytes).0.is_err(), "{bytes:?}");
        }
    }
}
