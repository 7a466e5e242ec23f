//! The command line: `serve`, which is also the default, and `usersig`.

use crate::admin::{self, Admin};
use crate::clock::now_ms;
use crate::config::Config;
use crate::http::{self, Limits};
use crate::identity_file::{self, App};
use crate::reconcile;
use crate::service::Service;
use crate::store::{Opened, embedded, valkey};
use crate::webhook::Webhook;
use clap::{Args, Parser, Subcommand};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tim_proto::user_sig;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const DEFAULT_LISTEN: &str = "127.0.0.1:7700";
const DEFAULT_DATA_DIR: &str = "./tim-server-data";
const DEFAULT_HEARTBEAT_MS: u64 = 25_000;
const DEFAULT_EXPIRE_S: i64 = 7 * 86_400;
/// How often records of which nothing is left are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// The login service that libtim talks to.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Serve logins (the default).
    Serve(Serve),
    /// Print a ticket that lets a user log in.
    Usersig(UserSigArgs),
}

#[derive(Args)]
struct Serve {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:7700]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Where accounts and keys are kept [default: ./tim-server-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where users are kept: `embedded` in the data directory, or a Valkey or Redis that nodes
    /// share, as redis://HOST:PORT, rediss://HOST:PORT or redis-cluster://HOST:PORT,HOST:PORT; its
    /// password stands in the settings or in TIM_SERVER_STORE_PASSWORD [default: embedded]
    #[arg(long, value_name = "WHERE")]
    store: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// The TLS certificate chain, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the TLS certificate, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where the operator's requests are answered; a port alone is one of 127.0.0.1 [default: nowhere]
    #[arg(long, value_name = "ADDR:PORT")]
    admin_listen: Option<String>,
    /// Settings in TOML; the command line stands above them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct AppArgs {
    /// The app, instead of the data directory's own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "secret_key_file")]
    sdk_app_id: Option<u32>,
    /// The file with the app's key, which signs its tickets
    #[arg(long, value_name = "FILE", requires = "sdk_app_id")]
    secret_key_file: Option<PathBuf>,
}

#[derive(Args)]
struct UserSigArgs {
    /// Whom the ticket lets in
    #[arg(long)]
    user_id: String,
    /// How long it holds; below zero it has expired already [default: 604800, a week]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    expire: Option<i64>,
    /// The data directory of the server [default: ./tim-server-data]
    #[arg(long, value_name = "DIR", conflicts_with = "sdk_app_id")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    app: AppArgs,
}

/// Does what the command line says.
pub fn run() -> Result<(), String> {
    let cli = Cli::parse();
    match cli.command {
        None => serve(cli.serve),
        Some(Command::Serve(args)) => serve(args),
        Some(Command::Usersig(args)) => print_user_sig(&args),
    }
}

fn print_user_sig(args: &UserSigArgs) -> Result<(), String> {
    let app = match (&args.app.sdk_app_id, &args.app.secret_key_file) {
        (Some(id), Some(file)) => identity_file::given(*id, file)?,
        _ => {
            let default = Path::new(DEFAULT_DATA_DIR);
            identity_file::of_data_dir(args.data_dir.as_deref().unwrap_or(default))?
        }
    };
    let now_s = now_ms().div_euclid(1000);
    let expire_s = args.expire.unwrap_or(DEFAULT_EXPIRE_S);
    let ticket = user_sig::make(
        &app.key,
        app.sdk_app_id,
        &args.user_id,
        now_s,
        expire_s,
        None,
    )
    .map_err(|error| format!("--user-id: {error}"))?;
    println!("{ticket}");
    Ok(())
}

fn serve(args: Serve) -> Result<(), String> {
    let config = match &args.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("TIM_SERVER_LOG")
                .unwrap_or_else(|_| "info".into()),
        )
        .init();
    let given_dir = args.data_dir.or(config.data_dir.clone());
    let data_dir = given_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into());
    std::fs::create_dir_all(&data_dir).map_err(|e| format!("{}: {e}", data_dir.display()))?;
    let app = app(&args.app, &config, &data_dir)?;
    let tls = match (
        args.tls_cert.or(config.tls_cert.clone()),
        args.tls_key.or(config.tls_key.clone()),
    ) {
        (Some(cert), Some(key)) => Some(tls_acceptor(&cert, &key)?),
        (None, None) => None,
        _ => return Err("tls_cert and tls_key belong together".to_owned()),
    };
    let listen = args.listen.or(config.listen.clone());
    let listen = listen.unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
    let admin_address = args.admin_listen.or(config.admin_listen.clone());
    let admin_address = admin_address
        .map(|address| admin_address_of(&address, &config))
        .transpose()?;
    let heartbeat = Duration::from_millis(config.heartbeat_ms.unwrap_or(DEFAULT_HEARTBEAT_MS));
    let opened = open_store(args.store.as_deref(), &config, &data_dir, app.sdk_app_id)?;
    let webhook = config
        .webhook(app.sdk_app_id)?
        .map(|settings| Webhook::start(&settings))
        .transpose()
        .map_err(|error| format!("no thread: {error}"))?;
    let service = Service::new(app, config.rules(), heartbeat, opened)?.with_webhook(webhook);
    let service = Arc::new(service);
    let admin = Admin {
        service: service.clone(),
        admins: config.admins,
    };
    let limits = Limits {
        connections: config.limits.connections,
        header_timeout: Duration::from_millis(config.limits.header_timeout_ms),
    };
    // Connections are served by threads of their own: this one waits for signals.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?
        .block_on(run_server(
            &listen,
            tls,
            admin_address,
            Arc::new(admin),
            service,
            limits,
        ))
}

/// Where the operator's listener is to be.
fn admin_address_of(text: &str, config: &Config) -> Result<SocketAddr, String> {
    let failed = |what: &str| format!("admin_listen {text}: {what}");
    let address = match text.parse::<u16>() {
        Ok(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        Err(_) => text
            .parse()
            .map_err(|_| failed("expected ADDR:PORT or a port"))?,
    };
    if !address.ip().is_loopback() && !config.admin_allow_remote {
        return Err(failed(
            "other machines reach this address: set admin_allow_remote = true if they may",
        ));
    }
    if config.admins.is_empty() {
        return Err(failed(
            "nobody could use it: name the administrators, as in admins = [\"administrator\"]",
        ));
    }
    Ok(address)
}

async fn run_server(
    listen: &str,
    tls: Option<TlsAcceptor>,
    admin_address: Option<SocketAddr>,
    admin: Arc<Admin>,
    service: Arc<Service>,
    limits: Limits,
) -> Result<(), String> {
    let failed = |error| format!("--listen {listen}: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let listeners = http::listen(listen).map_err(failed)?;
    let address = listeners[0].local_addr().map_err(failed)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let admin_url = match admin_address {
        Some(address) => Some(start_admin(address, tls.clone(), admin, limits).await?),
        None => None,
    };
    let admin_url = admin_url.map_or_else(String::new, |url| format!(" admin={url}"));
    {
        let mut stdout = std::io::stdout().lock();
        // Whoever started this may not read it; that is no reason not to serve.
        let _ = writeln!(stdout, "tim-server ready {scheme}={address}{admin_url}");
        let _ = stdout.flush();
    }
    tracing::info!(%address, "serving");
    let sweeper = service.clone();
    tokio::spawn(async move {
        let mut every = tokio::time::interval(SWEEP);
        loop {
            every.tick().await;
            sweeper.sweep();
        }
    });
    if service.is_one_of_many() {
        tokio::spawn(reconcile::run(service.clone()));
    }
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    http::serve(listeners, tls, service.clone(), limits, stop)
        .await
        .map_err(|error| error.to_string())?;
    service.write_figures().await;
    Ok(())
}

/// Opens the operator's listener, and gives its URL. On this machine's own address it is plain;
/// elsewhere it has TLS where the server has.
async fn start_admin(
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    admin: Arc<Admin>,
    limits: Limits,
) -> Result<String, String> {
    let failed = |error| format!("admin_listen {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    let tls = tls.filter(|_| !local.ip().is_loopback());
    if tls.is_none() && !local.ip().is_loopback() {
        tracing::warn!(%local, "administrators' tickets travel in the clear: give it TLS");
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    tokio::spawn(admin::serve(listener, tls, admin, limits));
    Ok(format!("{scheme}://{local}"))
}

/// Opens the store that the command line or the settings name.
fn open_store(
    argument: Option<&str>,
    config: &Config,
    data_dir: &Path,
    app: u32,
) -> Result<Opened, String> {
    if argument.is_some_and(|place| place.contains('@')) {
        return Err(
            "--store: everybody on this machine can read a password there; give it in \
             store_password_file of the settings, or in TIM_SERVER_STORE_PASSWORD"
                .to_owned(),
        );
    }
    let place = argument.or(config.store.as_deref());
    let Some(place) = place.filter(|place| *place != "embedded") else {
        let file = data_dir.join("store.redb");
        return embedded::open(&file).map_err(|error| error.to_string());
    };
    let password = match &config.store_password_file {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        None => std::env::var("TIM_SERVER_STORE_PASSWORD").ok(),
    };
    let address = valkey::Address::parse(place, password.as_deref())
        .map_err(|error| format!("store: {error}"))?;
    valkey::open(address, app).map_err(|error| error.to_string())
}

fn app(args: &AppArgs, config: &Config, data_dir: &Path) -> Result<App, String> {
    let id = args.sdk_app_id.or(config.sdk_app_id);
    let file = args
        .secret_key_file
        .as_ref()
        .or(config.secret_key_file.as_ref());
    match (id, file) {
        (Some(id), Some(file)) => identity_file::given(id, file),
        (None, None) => {
            let (app, is_new) = identity_file::of_data_dir_or_new(data_dir)?;
            if is_new {
                eprintln!(
                    "tim-server: made app {} and its key in {dir}\n\
                     tim-server: a ticket for alice: tim-server usersig --user-id alice --data-dir {dir}",
                    app.sdk_app_id,
                    dir = data_dir.display(),
                );
            }
            Ok(app)
        }
        _ => Err("sdk_app_id and secret_key_file belong together".to_owned()),
    }
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
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|error| failed(key, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
