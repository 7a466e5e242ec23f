//! A client that speaks TLS, and certificates for the servers it trusts.

use super::Server;
use std::io::{Read, Write};
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};

/// A certificate that is its own authority, and its key.
pub fn certificate() -> (CertificateDer<'static>, String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    (made.cert.into(), pem, key)
}

/// The first bytes that a client receives that trusts only this certificate.
pub fn hears(server: &Server, trusted: &CertificateDer<'static>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = server.connect();
    let mut stream = Stream::new(&mut tls, &mut socket);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: tim\r\n\r\n")?;
    let mut status = [0; 15];
    stream.read_exact(&mut status)?;
    Ok(String::from_utf8(status.to_vec()).unwrap())
}
