//! The command line's arguments.

use crate::logs;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// The login service for libtim
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
    /// Print a ticket that lets a user log in
    Usersig(UserSigArgs),
    /// Copy the embedded store to a file; the server may be running
    Backup(BackupArgs),
    /// Write everything in the store, one JSON object per line. The output contains the keys of
    /// session tokens
    Export(ExportArgs),
    /// Read what `export` wrote into a store without users; no server may be running on it
    Import(ImportArgs),
}

/// Which store to use.
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
    /// The copy, which must not exist yet
    pub file: PathBuf,
    #[command(flatten)]
    pub store: StoreArgs,
}

#[derive(Args)]
pub struct ExportArgs {
    /// The output file, which must not exist yet [default: stdout]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub store: StoreArgs,
}

#[derive(Args)]
pub struct ImportArgs {
    /// The file to read; `-` is stdin
    pub file: PathBuf,
    #[command(flatten)]
    pub store: StoreArgs,
}

/// The arguments of `serve`.
#[derive(Args)]
pub struct Serve {
    /// Address to listen on; port 0 picks a free port [default: 127.0.0.1:7700]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Directory for accounts and keys [default: ./tim-server-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where to keep users: `embedded` (in the data directory), or a Valkey or Redis shared by
    /// several nodes, as redis://HOST:PORT, rediss://HOST:PORT or
    /// redis-cluster://HOST:PORT,HOST:PORT; its password comes from the settings or from
    /// TIM_SERVER_STORE_PASSWORD [default: embedded]
    #[arg(long, value_name = "WHERE")]
    pub store: Option<String>,
    #[command(flatten)]
    pub app: AppArgs,
    /// The TLS certificate chain, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the TLS certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Format of the log [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<logs::Format>,
    /// Address for the operator's requests; a port alone means 127.0.0.1 [default: none]
    #[arg(long, value_name = "ADDR:PORT")]
    pub admin_listen: Option<String>,
    /// Let the operator inject faults, for tests of apps: never use it with real users. Requires an
    /// --admin-listen on a loopback address
    #[arg(long)]
    pub enable_fault_injection: bool,
    /// Settings in TOML; command-line arguments override them
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Arguments that name the app.
#[derive(Args)]
pub struct AppArgs {
    /// The app, instead of the data directory's own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sdk_app_id: Option<u32>,
    /// The file with the app's key, which signs its tickets; without it, the key comes from
    /// TIM_SERVER_SECRET_KEY
    #[arg(long, value_name = "FILE", requires = "sdk_app_id")]
    pub secret_key_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct UserSigArgs {
    /// The user whom the ticket is for
    #[arg(long)]
    pub user_id: String,
    /// Seconds until the ticket expires; negative: it has expired already [default: 604800, a week]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub expire: Option<i64>,
    /// The data directory of the server [default: ./tim-server-data]
    #[arg(long, value_name = "DIR", conflicts_with = "sdk_app_id")]
    pub data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub app: AppArgs,
}
