//! A private authority for certificates, and servers that show them.

#![allow(dead_code, reason = "each test program uses its part")]

use super::tim_server::TimServer;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

/// A private authority with a certificate of its own.
pub struct Authority {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Authority {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Authority { directory, issuer }
    }

    /// A server whose certificate is for these names, good until this year.
    pub fn server(&self, names: &[&str], until: i32) -> TimServer {
        self.server_with(names, until, &[])
    }

    /// The same with further arguments.
    pub fn server_with(&self, names: &[&str], until: i32, more: &[&str]) -> TimServer {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |name: &str| self.directory.path().join(name);
        std::fs::write(path("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
        let text = |name: &str| path(name).to_str().unwrap().to_owned();
        let (certificate, key) = (text("cert.pem"), text("key.pem"));
        let mut arguments = vec!["--tls-cert", &certificate, "--tls-key", &key];
        arguments.extend(more);
        TimServer::with(&arguments)
    }

    /// What a client's configuration needs to trust this authority alone.
    pub fn trusted(&self) -> String {
        let file = self.directory.path().join("ca.pem");
        format!(r#", "ca_file": "{}""#, file.display())
    }
}
