//! The command line: `serve`, which is also the default, `usersig`, and what moves a store.

use crate::clock::now_ms;
use crate::config::Config;
use crate::identity_file;
use crate::logs;
use crate::reload;
use crate::start;
use crate::store::{Place, embedded, valkey};
use clap::{Args, Parser, Subcommand};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tim_proto::{edges, user_sig};

/// Where accounts and keys are kept, unless said otherwise.
pub const DEFAULT_DATA_DIR: &str = "./tim-server-data";
const DEFAULT_EXPIRE_S: i64 = 7 * 86_400;

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
    /// Copy the embedded store into a file; the server may run.
    Backup(BackupArgs),
    /// Write all that the store holds, one JSON object a line. It has the keys of session tokens.
    Export(ExportArgs),
    /// Read what `export` has written into a store without users, while no server runs on it.
    Import(ImportArgs),
}

/// Which store.
#[derive(Args)]
struct StoreArgs {
    /// The data directory of the server [default: ./tim-server-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// As with `serve`
    #[arg(long, value_name = "WHERE")]
    store: Option<String>,
    /// The app, instead of the data directory's own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sdk_app_id: Option<u32>,
    /// The server's settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct BackupArgs {
    /// The copy, which must not be there yet
    file: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Args)]
struct ExportArgs {
    /// Where to write; must not be there yet [default: stdout]
    file: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Args)]
struct ImportArgs {
    /// What to read; `-` is stdin
    file: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

/// What the command line says to a server.
#[derive(Args)]
pub struct Serve {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:7700]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Where accounts and keys are kept [default: ./tim-server-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where users are kept: `embedded` in the data directory, or a Valkey or Redis that nodes
    /// share, as redis://HOST:PORT, rediss://HOST:PORT or redis-cluster://HOST:PORT,HOST:PORT; its
    /// password stands in the settings or in TIM_SERVER_STORE_PASSWORD [default: embedded]
    #[arg(long, value_name = "WHERE")]
    pub store: Option<String>,
    #[command(flatten)]
    pub app: AppArgs,
    /// The TLS certificate chain, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the TLS certificate, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// How logs are written [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<logs::Format>,
    /// Where the operator's requests are answered; a port alone is one of 127.0.0.1 [default: nowhere]
    #[arg(long, value_name = "ADDR:PORT")]
    pub admin_listen: Option<String>,
    /// Let the operator ask for faults, for tests of apps: never where real users are. Only with an
    /// --admin-listen of this machine's own
    #[arg(long)]
    pub enable_fault_injection: bool,
    /// Settings in TOML; the command line stands above them
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What it says about the app.
#[derive(Args)]
pub struct AppArgs {
    /// The app, instead of the data directory's own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sdk_app_id: Option<u32>,
    /// The file with the app's key, which signs its tickets; without it the key stands in
    /// TIM_SERVER_SECRET_KEY
    #[arg(long, value_name = "FILE", requires = "sdk_app_id")]
    pub secret_key_file: Option<PathBuf>,
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
        None => start::serve(cli.serve),
        Some(Command::Serve(args)) => start::serve(args),
        Some(Command::Usersig(args)) => print_user_sig(&args),
        Some(Command::Backup(args)) => back_up(&args),
        Some(Command::Export(args)) => export(&args),
        Some(Command::Import(args)) => import(&args),
    }
}

impl StoreArgs {
    fn config(&self) -> Result<Config, String> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        config.data_dir = self.data_dir.clone().or(config.data_dir);
        config.store = self.store.clone().or(config.store);
        config.sdk_app_id = self.sdk_app_id.or(config.sdk_app_id);
        Ok(config)
    }

    /// The place, and the app whose users are there.
    fn place(&self) -> Result<(Place, u32), String> {
        let config = self.config()?;
        let app = match config.sdk_app_id {
            Some(app) => app,
            None => identity_file::of_data_dir(reload::data_dir(&config))?.sdk_app_id,
        };
        Ok((Place::of(&config)?, app))
    }
}

fn back_up(args: &BackupArgs) -> Result<(), String> {
    match Place::of(&args.store.config()?)? {
        Place::Embedded(directory) => {
            embedded::back_up(&directory, &args.file).map_err(|error| error.to_string())?;
            eprintln!(
                "tim-server: the store was copied to {}",
                args.file.display()
            );
            Ok(())
        }
        Place::Shared(_) => Err(
            "backup copies the embedded store; this one is in an engine, which has its own ways, \
             and tim-server export"
                .to_owned(),
        ),
    }
}

fn export(args: &ExportArgs) -> Result<(), String> {
    let (place, app) = args.store.place()?;
    let mut to: Box<dyn Write> = match &args.file {
        None => Box::new(std::io::stdout().lock()),
        Some(file) => {
            let mut options = OpenOptions::new();
            let created = options.write(true).create_new(true).mode(0o600).open(file);
            Box::new(created.map_err(|error| format!("{}: {error}", file.display()))?)
        }
    };
    let mut buffered = BufWriter::new(&mut to);
    let exported = match &place {
        Place::Embedded(directory) => embedded::export(directory, app, &mut buffered),
        Place::Shared(address) => valkey::export(address, app, &mut buffered),
    };
    let count = exported.map_err(|error| error.to_string())?;
    buffered
        .flush()
        .map_err(|error| format!("the export: {error}"))?;
    eprintln!("tim-server: {} users were exported", count.users);
    Ok(())
}

fn import(args: &ImportArgs) -> Result<(), String> {
    let (place, app) = args.store.place()?;
    let mut from: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(&args.file);
        let file = file.map_err(|error| format!("{}: {error}", args.file.display()))?;
        Box::new(BufReader::new(file))
    };
    let imported = match &place {
        Place::Embedded(directory) => embedded::import(directory, app, &mut from),
        Place::Shared(address) => valkey::import(address, app, &mut from),
    };
    let count = imported.map_err(|error| error.to_string())?;
    eprintln!("tim-server: {} users were imported", count.users);
    Ok(())
}

fn print_user_sig(args: &UserSigArgs) -> Result<(), String> {
    let app = match (&args.app.sdk_app_id, &args.app.secret_key_file) {
        (Some(id), Some(file)) => identity_file::given(*id, file)?,
        (Some(id), None) => identity_file::of_environment(*id)?,
        _ => {
            let default = Path::new(DEFAULT_DATA_DIR);
            identity_file::of_data_dir(args.data_dir.as_deref().unwrap_or(default))?
        }
    };
    let now_s = now_ms().div_euclid(1000);
    let expire_s = args.expire.unwrap_or(DEFAULT_EXPIRE_S);
    let ticket = user_sig::make(
        app.key(),
        app.sdk_app_id,
        &args.user_id,
        now_s,
        expire_s,
        None,
    )
    .map_err(|error| match edges::named(&args.user_id) {
        Some(edge) => format!("--user-id: it {edge}; {error}"),
        None => format!("--user-id: {error}"),
    })?;
    println!("{ticket}");
    Ok(())
}
