//! TLS: rustls over the transport's own connections, and which certificates a client trusts.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, OtherError,
    RootCertStore, SignatureScheme, StreamOwned,
};
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport, TransportAdapter,
};

use super::{BUFFER_SIZE, too_long};
use ureq::unversioned::transport::LazyBuffers;

/// The certificates that a client trusts.
#[derive(Clone)]
pub(crate) struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Mozilla's bundled roots, or the certificates of `ca_file` instead; with `system_roots`, the
    /// system's as well. The error is a sentence about the configuration.
    pub(crate) fn new(ca_file: Option<&[u8]>, system_roots: bool) -> Result<Trust, String> {
        let mut roots = RootCertStore::empty();
        let mut own = Vec::new();
        match ca_file {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(pem) => own = certificates(pem, &mut roots)?,
        }
        if system_roots {
            add_system_roots(&mut roots)?;
        }
        let provider = ring::default_provider();
        let verifier = Verifier {
            roots,
            own,
            algorithms: provider.signature_verification_algorithms,
        };
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("no TLS: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Trust(Arc::new(config)))
    }
}

/// The certificates of a PEM file, all of which must be valid.
fn certificates(
    pem: &[u8],
    roots: &mut RootCertStore,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut certificates = Vec::new();
    for (at, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let number = at + 1;
        let certificate = certificate
            .map_err(|error| format!("ca_file: certificate {number} is not PEM: {error}"))?;
        roots
            .add(certificate.clone())
            .map_err(|error| format!("ca_file: certificate {number} cannot be read: {error}"))?;
        certificates.push(certificate);
    }
    if certificates.is_empty() {
        return Err("ca_file: expected at least one certificate in PEM form".to_owned());
    }
    Ok(certificates)
}

fn add_system_roots(roots: &mut RootCertStore) -> Result<(), String> {
    let found = rustls_native_certs::load_native_certs();
    // One unreadable old certificate is no reason to reject the others.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(());
    }
    let why = found.errors.first().map(|error| format!(": {error}"));
    Err(format!(
        "system_roots: the system has no trusted certificate that can be read{}; install its \
         package of certificates, or set ca_file",
        why.unwrap_or_default()
    ))
}

/// rustls' checks of a server's certificate, with one exception: a certificate that is its own
/// authority. `openssl req -x509` marks its output as an authority, and web rules reject such a
/// certificate for a server; but an app that names that very certificate in `ca_file` means to
/// trust it.
#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    /// The certificates of `ca_file`.
    own: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let signed = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        );
        match signed {
            // rustls checks the dates before that mark, and the signature is by the key that the
            // certificate vouches for.
            Err(error) if is_ca_as_end_entity(&error) && self.own.contains(end_entity) => {}
            signed => signed?,
        }
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether a certificate was rejected only because it is marked as an authority's.
pub(super) fn is_ca_as_end_entity(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error else {
        return false;
    };
    matches!(
        other.downcast_ref::<webpki::Error>(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}

/// Wraps connections to `https://` servers in TLS.
pub(super) struct TlsConnector(pub(super) Option<Trust>);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| ureq::Error::Tls("the server's name can stand in no certificate"))?;
        let Some(Trust(config)) = &self.0 else {
            return Err(ureq::Error::TlsRequired);
        };
        let mut connection = ClientConnection::new(config.clone(), name)?;
        let mut inner = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        connection.complete_io(&mut inner)?;
        Ok(Some(Either::B(TlsTransport {
            buffers: LazyBuffers::new(BUFFER_SIZE, BUFFER_SIZE),
            stream: StreamOwned::new(connection, inner),
        })))
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

/// A connection inside TLS.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let room = self.buffers.input_append_buf();
        if room.is_empty() {
            return Err(too_long().into());
        }
        let length = self.stream.read(room)?;
        self.buffers.input_appended(length);
        Ok(length > 0)
    }

    fn is_open(&mut self) -> bool {
        // Connections are never kept for another request.
        false
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}
