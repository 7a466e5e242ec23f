//! What the command line takes.

use crate::logs;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// The login service that libtim talks to.
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: Serve,
}

#[derive(Subcommand)]
pub enum Command {
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
pub struct StoreArgs {
    /// The data directory of the server [default: ./tim-server-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// As with `serve`
    #[arg(long, value_name = "WHERE")]
    pub store: Option<String>,
    /// The app, instead of the data directory's own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sdk_app_id: Option<u32>,
    /// The server's settings
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Args)]
pub struct BackupArgs {
    /// The copy, which must not be there yet
    pub file: PathBuf,
    #[command(flatten)]
    pub store: StoreArgs,
}

#[derive(Args)]
pub struct ExportArgs {
    /// Where to write; must not be there yet [default: stdout]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub store: StoreArgs,
}

#[derive(Args)]
pub struct ImportArgs {
    /// What to read; `-` is stdin
    pub file: PathBuf,
    #[command(flatten)]
    pub store: StoreArgs,
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
pub struct UserSigArgs {
    /// Whom the ticket lets in
    #[arg(long)]
    pub user_id: String,
    /// How long it holds; below zero it has expired already [default: 604800, a week]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub expire: Option<i64>,
    /// The data directory of the server [default: ./tim-server-data]
    #[arg(long, value_name = "DIR", conflicts_with = "sdk_app_id")]
    pub data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub app: AppArgs,
}
