//! Why a request failed, how far it got, and the message for people.

use crate::os;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// A request or stream that ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) phase: Phase,
    /// For people; contains no secret.
    pub(crate) text: String,
    /// The address that was tried or connected to.
    pub(crate) peer: Option<SocketAddr>,
}

/// How far a request got; later phases compare greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Resolve,
    Connect,
    Proxy,
    #[cfg_attr(
        not(feature = "tls"),
        expect(dead_code, reason = "this build has no TLS")
    )]
    Tls,
    Send,
    Response,
    Stream,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Interrupted by the owner; nothing is wrong.
    Interrupted,
    /// The name could not be looked up, or not in time.
    Dns,
    /// The address refuses connections.
    Refused,
    /// No route to the address.
    Unreachable,
    /// No connection in time.
    ConnectTimeout,
    /// Connected, but no answer in time.
    ResponseTimeout,
    /// The connection was reset.
    Reset,
    /// The system has run out of sockets or buffers.
    NoSocketBuffers,
    /// The TLS handshake failed.
    TlsHandshake,
    /// The certificate was not accepted.
    #[cfg_attr(
        not(feature = "tls"),
        expect(dead_code, reason = "this build has no TLS")
    )]
    BadCertificate,
    /// The proxy did not open the connection.
    Proxy,
    /// The proxy asks for credentials.
    ProxyAuthRequired,
    /// `http://` to another host.
    PlaintextRefused,
    /// What came back is not HTTP.
    NotHttp,
}

impl Cause {
    /// The deadline came in `phase`.
    pub(crate) fn of_timeout(phase: Phase) -> (Cause, &'static str) {
        match phase {
            Phase::Resolve => (
                Cause::Dns,
                "the name was not looked up within the time limit",
            ),
            Phase::Connect => (Cause::ConnectTimeout, "no connection within the time limit"),
            Phase::Proxy => (
                Cause::Proxy,
                "the proxy did not answer within the time limit",
            ),
            Phase::Tls => (
                Cause::ResponseTimeout,
                "the TLS handshake did not end within the time limit",
            ),
            Phase::Send | Phase::Response => {
                (Cause::ResponseTimeout, "no answer within the time limit")
            }
            Phase::Stream => (Cause::ResponseTimeout, "the stream fell silent"),
        }
    }

    /// A system error while connecting or on the connection.
    pub(crate) fn of_io(error: &io::Error) -> Cause {
        if os::is_out_of_sockets(error) {
            return Cause::NoSocketBuffers;
        }
        match error.kind() {
            ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable
            | ErrorKind::PermissionDenied => Cause::Unreachable,
            ErrorKind::TimedOut => Cause::ConnectTimeout,
            ErrorKind::ConnectionRefused => Cause::Refused,
            ErrorKind::InvalidData | ErrorKind::InvalidInput => Cause::NotHttp,
            _ => Cause::Reset,
        }
    }
}

/// The cause and the text of an error from ureq that did not come from one of our own sockets.
pub(crate) fn of_ureq(error: &ureq::Error, phase: Phase) -> (Cause, String) {
    match error {
        ureq::Error::ConnectProxyFailed(reason) if reason.contains("407") => (
            Cause::ProxyAuthRequired,
            "the proxy asks for a user name and password".to_owned(),
        ),
        ureq::Error::ConnectProxyFailed(reason) => (Cause::Proxy, reason.clone()),
        ureq::Error::Io(error) => of_io(error, phase),
        #[cfg(feature = "tls")]
        ureq::Error::Rustls(error) => of_tls(error),
        ureq::Error::Tls(text) => (Cause::TlsHandshake, (*text).to_owned()),
        _ if phase == Phase::Proxy => (Cause::Proxy, format!("the proxy's answer: {error}")),
        _ => (Cause::NotHttp, format!("the answer is not HTTP: {error}")),
    }
}

fn of_io(error: &io::Error, phase: Phase) -> (Cause, String) {
    #[cfg(feature = "tls")]
    if let Some(tls) = error
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>())
    {
        return of_tls(tls);
    }
    match (error.kind(), phase) {
        (ErrorKind::UnexpectedEof, Phase::Tls) => (
            Cause::TlsHandshake,
            "the server closed the connection in the TLS handshake".to_owned(),
        ),
        (ErrorKind::UnexpectedEof, _) => (Cause::Reset, "the connection was closed".to_owned()),
        _ => (Cause::of_io(error), error.to_string()),
    }
}

#[cfg(feature = "tls")]
fn of_tls(error: &rustls::Error) -> (Cause, String) {
    use super::tls::is_ca_as_end_entity;
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(reason) => {
            let reason = match reason {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "it has expired, or this device's clock is wrong".to_owned()
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "it is not valid yet, or this device's clock is wrong".to_owned()
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    "it was made for another name (its names stand in subjectAltName)".to_owned()
                }
                CertificateError::UnknownIssuer => {
                    "its issuer is not known: a private authority needs ca_file".to_owned()
                }
                _ if is_ca_as_end_entity(error) => {
                    "it is marked as an authority's (CA:TRUE) and is not \
                     in ca_file itself: put it there, or give the server one without the mark"
                        .to_owned()
                }
                other => format!("{other:?}"),
            };
            (
                Cause::BadCertificate,
                format!("the server's certificate is not accepted: {reason}"),
            )
        }
        other => (Cause::TlsHandshake, format!("TLS: {other}")),
    }
}
