//! A private certificate authority, and servers with its certificates.

#![allow(dead_code, reason = "each test program uses its part")]

use super::tim_server::TimServer;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use std::path::PathBuf;

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

    /// A certificate that is its own authority, as `openssl req -x509` makes it, for these names
    /// and until this year; and a server that uses it.
    pub fn itself(names: &[&str], until: i32) -> (Authority, TimServer) {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        std::fs::write(directory.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(directory.path().join("key.pem"), key.serialize_pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let authority = Authority { directory, issuer };
        let server = authority.serve(&[]);
        (authority, server)
    }

    /// A server with a certificate for these names, valid until this year.
    pub fn server(&self, names: &[&str], until: i32) -> TimServer {
        self.server_with(names, until, &[])
    }

    /// The same, with further arguments.
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
        self.serve(more)
    }

    /// A server with the certificate and key in this folder.
    fn serve(&self, more: &[&str]) -> TimServer {
        let text = |name: &str| self.file(name).to_str().unwrap().to_owned();
        let (certificate, key) = (text("cert.pem"), text("key.pem"));
        let mut arguments = vec!["--tls-cert", &certificate, "--tls-key", &key];
        arguments.extend(more);
        TimServer::with(&arguments)
    }

    /// `ca.pem`, `cert.pem` or `key.pem`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The configuration with which a client trusts only this authority.
    pub fn trusted(&self) -> String {
        let file = self.file("ca.pem");
        format!(r#", "ca_file": "{}""#, file.display())
    }
}
