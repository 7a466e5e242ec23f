//! A server's life: files, store and listeners, the ready line, signals.

use crate::admin;
use crate::arguments::Serve;
use crate::config::Config;
use crate::faults::Faults;
use crate::http;
use crate::identity_file::{self, App};
use crate::logs;
use crate::metrics_listener;
use crate::open_files;
use crate::place::Place;
use crate::reconcile;
use crate::reload;
use crate::service::Service;
use crate::service_manager;
use crate::store::Opened;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout, timeout_at};

const DEFAULT_LISTEN: &str = "127.0.0.1:7700";
const DEFAULT_DRAIN_TIMEOUT_S: u64 = 30;
/// A file has reached the limit of `ulimit -f`.
const SIGXFSZ: i32 = 25;
/// How long the last figures may take: the process exits whatever the disk does.
const LAST_WRITE: Duration = Duration::from_millis(500);
/// How often empty records are forgotten and token keys checked.
const SWEEP: Duration = Duration::from_secs(60);

/// Serves until a signal stops it.
pub fn serve(args: Serve) -> Result<(), String> {
    let config = reload::config(&args)?;
    let _logs = logs::start(config.log_format.unwrap_or_default());
    open_files::raise(&config);
    let data_dir = config.data_dir();
    std::fs::create_dir_all(data_dir).map_err(|e| format!("{}: {e}", data_dir.display()))?;
    let settings = reload::settings(&config, app(&config, data_dir)?)?;
    let admin = config
        .admin_listen
        .as_deref()
        .map(|text| admin_address(text, &config))
        .transpose()?;
    let faults = faults(&args, admin)?;
    let opened = open_store(&args, &config, settings.app.sdk_app_id)?;
    let webhook = config.webhook(settings.app.sdk_app_id)?;
    let service = Service::new(settings, opened)?
        .with_webhook(webhook.as_ref())?
        .with_faults(faults)
        .listening();
    // Connections have threads of their own; this one waits for signals.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?
        .block_on(run(&args, &config, admin, service))
}

async fn run(
    args: &Serve,
    config: &Config,
    admin: Option<SocketAddr>,
    service: Arc<Service>,
) -> Result<(), String> {
    let listen = config.listen.as_deref().unwrap_or(DEFAULT_LISTEN);
    let failed = |error| format!("--listen {listen}: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    // A file that may not grow counts as a full disk, which is no reason to die.
    let _too_large = signal(SignalKind::from_raw(SIGXFSZ)).map_err(failed)?;
    let limits = service.settings().connections;
    let listeners = http::listen(listen, limits.unread_timeout).map_err(failed)?;
    let address = listeners[0].local_addr().map_err(failed)?;
    let server = http::start(listeners, service.clone()).map_err(failed)?;
    let scheme = match service.settings().tls {
        Some(_) => "https",
        None => "http",
    };
    let mut ready = format!("tim-server ready {scheme}={address}");
    if let Some(listen) = &config.metrics_listen {
        let failed = |error| format!("metrics_listen {listen}: {error}");
        let address = metrics_listener::listen(listen, service.clone()).await;
        ready.push_str(&format!(" metrics={}", address.map_err(failed)?));
    }
    if let Some(listen) = admin {
        let address = start_admin(listen, service.clone()).await?;
        ready.push_str(&format!(" admin={address}"));
    }
    if service.faults().is_some() {
        ready.push_str(" fault_injection=on");
        tracing::warn!("FAULT INJECTION IS ON: requests can make this server fail; for tests only");
    }
    {
        let mut stdout = std::io::stdout().lock();
        // The parent process may not read it; that is no reason not to serve.
        let _ = writeln!(stdout, "{ready}");
        let _ = stdout.flush();
    }
    service_manager::ready();
    tokio::spawn(service_manager::watchdog());
    tracing::info!(%address, "serving");
    tokio::spawn(look_after(service.clone()));
    if service.is_one_of_many() {
        tokio::spawn(reconcile::run(service.clone()));
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload::reload(args, config, &service),
        }
    }
    service_manager::stopping();
    let in_time = config.drain_timeout_s.unwrap_or(DEFAULT_DRAIN_TIMEOUT_S);
    let deadline = Instant::now() + Duration::from_secs(in_time);
    let drained = async {
        server.drain(&service, deadline).await;
        if timeout_at(deadline, service.finish()).await.is_err() {
            tracing::warn!("webhook events are left for the next start");
        }
    };
    tokio::select! {
        () = drained => {}
        _ = terminate.recv() => tracing::warn!("second signal: exiting at once"),
        _ = interrupt.recv() => tracing::warn!("second signal: exiting at once"),
    }
    if timeout(LAST_WRITE, service.write_figures()).await.is_err() {
        tracing::error!("the last figures could not be written");
    }
    Ok(())
}

/// The faults, if the command line enables them: for an operator on this machine only.
fn faults(args: &Serve, admin: Option<SocketAddr>) -> Result<Option<Box<Faults>>, String> {
    if !args.enable_fault_injection {
        return Ok(None);
    }
    match admin {
        Some(address) if address.ip().is_loopback() => Ok(Some(Box::default())),
        Some(address) => Err(format!(
            "--enable-fault-injection: other machines reach {address}: expected an admin_listen of \
             this machine's own, such as 127.0.0.1:7701"
        )),
        None => Err(
            "--enable-fault-injection: faults are asked for at the operator's listener: give \
             --admin-listen and admins"
                .to_owned(),
        ),
    }
}

/// The address of the operator's listener.
fn admin_address(text: &str, config: &Config) -> Result<SocketAddr, String> {
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

/// Opens the operator's listener and returns its URL. On a loopback address it is plain HTTP;
/// elsewhere it uses TLS if the server does.
async fn start_admin(address: SocketAddr, service: Arc<Service>) -> Result<String, String> {
    let failed = |error| format!("admin_listen {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    http::cut_off_unread(&listener, service.settings().connections.unread_timeout)
        .map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    let has_tls = !local.ip().is_loopback() && service.settings().tls.is_some();
    if !has_tls && !local.ip().is_loopback() {
        tracing::warn!(%local, "administrators' tickets travel in clear text: use TLS");
    }
    let scheme = if has_tls { "https" } else { "http" };
    tokio::spawn(admin::serve(listener, has_tls, service));
    Ok(format!("{scheme}://{local}"))
}

async fn look_after(service: Arc<Service>) {
    let mut every = tokio::time::interval(SWEEP);
    loop {
        every.tick().await;
        service.look_after().await;
    }
}

/// The app that the operator names, or the data directory's, which the first start creates.
fn app(config: &Config, data_dir: &Path) -> Result<App, String> {
    if let Some(app) = reload::given_app(config)? {
        return Ok(app);
    }
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

/// Opens the store that the command line or the settings name.
fn open_store(args: &Serve, config: &Config, app: u32) -> Result<Opened, String> {
    // The place may name an ACL user without a password.
    let has_password = |place: &String| {
        let place = place
            .split_once("://")
            .map_or(place.as_str(), |(_, rest)| rest);
        place
            .rsplit_once('@')
            .is_some_and(|(credentials, _)| credentials.contains(':'))
    };
    if args.store.as_ref().is_some_and(has_password) {
        return Err(
            "--store: everybody on this machine can read a password there; give it in \
             store_password_file of the settings, or in TIM_SERVER_STORE_PASSWORD"
                .to_owned(),
        );
    }
    let opened = Place::of(config)?.open(app);
    opened.map_err(|error| error.to_string())
}
