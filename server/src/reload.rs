//! The operator's settings: the command line, the settings file and the files they name. Read at
//! the start and again at SIGHUP, then all or nothing.

use crate::arguments::Serve;
use crate::audit::Audit;
use crate::config::Config;
use crate::identity_file::{self, App};
use crate::service::Service;
use crate::settings::Settings;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, CertificateError, Error, OtherError, RootCertStore, ServerConfig,
};

const DEFAULT_HEARTBEAT_MS: u64 = 25_000;

/// The settings file, overridden by the command line.
pub fn config(args: &Serve) -> Result<Config, String> {
    let mut config = match &args.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    fn over<T: Clone>(said: &Option<T>, place: &mut Option<T>) {
        if said.is_some() {
            place.clone_from(said);
        }
    }
    over(&args.listen, &mut config.listen);
    over(&args.data_dir, &mut config.data_dir);
    over(&args.store, &mut config.store);
    over(&args.app.sdk_app_id, &mut config.sdk_app_id);
    over(&args.app.secret_key_file, &mut config.secret_key_file);
    over(&args.tls_cert, &mut config.tls_cert);
    over(&args.tls_key, &mut config.tls_key);
    over(&args.log_format, &mut config.log_format);
    over(&args.admin_listen, &mut config.admin_listen);
    Ok(config)
}

/// The settings, with the keys and certificates from the files that `config` names.
pub fn settings(config: &Config, app: App) -> Result<Settings, String> {
    let tls = match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => Some(tls_acceptor(cert, key)?),
        (None, None) => None,
        _ => return Err("tls_cert and tls_key belong together".to_owned()),
    };
    Ok(Settings {
        app: app.with_old_keys(&config.old_secret_key_files)?,
        rules: config.rules(),
        admins: config.admins.clone(),
        admin_metrics: config.admin_metrics.unwrap_or(true),
        heartbeat: Duration::from_millis(config.heartbeat_ms.unwrap_or(DEFAULT_HEARTBEAT_MS)),
        failures: (&config.throttle).into(),
        logins: (&config.limits).into(),
        connections: (&config.limits).into(),
        token_keys: (&config.token_keys).into(),
        tickets: config.tickets(),
        proxies: config.proxies(),
        allowed_origins: config.allowed_origins.clone(),
        log_users: config.log_users.unwrap_or(true),
        audit: match &config.audit_log {
            None => Audit::default(),
            // Opened again at each reload, so that it can be moved away before.
            Some(path) => {
                Audit::to(path).map_err(|error| format!("audit_log {}: {error}", path.display()))?
            }
        },
        tls,
    })
}

/// The app that the operator names; `None`: the data directory's.
pub fn given_app(config: &Config) -> Result<Option<App>, String> {
    match (config.sdk_app_id, &config.secret_key_file) {
        (Some(id), Some(file)) => identity_file::given(id, file).map(Some),
        (Some(id), None) => identity_file::of_environment(id).map(Some),
        (None, None) => Ok(None),
        (None, Some(_)) => Err("secret_key_file needs sdk_app_id".to_owned()),
    }
}

/// Reads everything again. `started` is what the process started with.
pub fn reload(args: &Serve, started: &Config, service: &Service) {
    let read = || {
        let config = config(args)?;
        let app = match given_app(&config)? {
            Some(app) => app,
            None => identity_file::of_data_dir(started.data_dir())?,
        };
        let settings = settings(&config, app)?;
        let now = service.settings();
        if settings.app.sdk_app_id != now.app.sdk_app_id {
            return Err("sdk_app_id: a running server cannot change its app".to_owned());
        }
        if settings.tls.is_some() != now.tls.is_some() {
            return Err("tls_cert: a running server cannot turn TLS on or off".to_owned());
        }
        Ok((config, settings))
    };
    match read() {
        Ok((config, settings)) => {
            for key in fixed(started, &config) {
                tracing::warn!("{key} has changed: restart to apply it");
            }
            service.replace_settings(settings);
            tracing::info!("settings reloaded");
        }
        Err(error) => tracing::error!("no settings were changed: {error}"),
    }
}

/// The changed keys among those that are only read at the start.
fn fixed(started: &Config, now: &Config) -> Vec<&'static str> {
    let (limits, now_limits) = (&started.limits, &now.limits);
    [
        ("listen", started.listen != now.listen),
        ("data_dir", started.data_dir != now.data_dir),
        ("store", started.store != now.store),
        (
            "store_password_file",
            started.store_password_file != now.store_password_file,
        ),
        (
            "sentinel_password_file",
            started.sentinel_password_file != now.sentinel_password_file,
        ),
        (
            "metrics_listen",
            started.metrics_listen != now.metrics_listen,
        ),
        ("log_format", started.log_format != now.log_format),
        ("admin_listen", started.admin_listen != now.admin_listen),
        (
            "admin_allow_remote",
            started.admin_allow_remote != now.admin_allow_remote,
        ),
        (
            "drain_timeout_s",
            started.drain_timeout_s != now.drain_timeout_s,
        ),
        ("webhook_url", started.webhook_url != now.webhook_url),
        (
            "webhook_token_file",
            started.webhook_token_file != now.webhook_token_file,
        ),
        (
            "webhook_retries",
            started.webhook_retries != now.webhook_retries,
        ),
        (
            "limits.connections",
            limits.connections != now_limits.connections,
        ),
        (
            "limits.unread_timeout_ms",
            limits.unread_timeout_ms != now_limits.unread_timeout_ms,
        ),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}

fn tls_acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let failed =
        |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| failed(cert, &error))?;
    if chain.is_empty() {
        return Err(failed(cert, &"expected a certificate in PEM form"));
    }
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, &error))?;
    warn_of_authority(cert, &chain[0]);
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|error| failed(key, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Warns of a certificate that only some clients accept.
fn warn_of_authority(path: &Path, certificate: &CertificateDer<'_>) {
    if is_authority(certificate) {
        tracing::warn!(
            "{}: this certificate is marked as an authority's (CA:TRUE), as `openssl req -x509` makes \
             them: libtim takes it where ca_file names this very certificate, and browsers and other \
             clients may not take it at all",
            path.display()
        );
    }
}

/// Whether a certificate is marked as an authority's: such a one is rejected for a server even if
/// it is trusted itself.
fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    let mut roots = RootCertStore::empty();
    if roots.add(certificate.clone().into_owned()).is_err() {
        return false;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let Ok(verifier) = builder.build() else {
        return false;
    };
    let any_name = ServerName::from(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    let verified = verifier.verify_server_cert(certificate, &[], &any_name, &[], UnixTime::now());
    let Err(Error::InvalidCertificate(CertificateError::Other(OtherError(other)))) = verified
    else {
        return false;
    };
    matches!(
        other.downcast_ref::<webpki::Error>(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}
