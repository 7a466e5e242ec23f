//! The command line: `serve`, which is the default, `usersig`, and the commands that move a store.

use crate::arguments::{BackupArgs, Cli, Command, ExportArgs, ImportArgs, StoreArgs, UserSigArgs};
use crate::clock::now_ms;
use crate::config::{Config, DEFAULT_DATA_DIR};
use crate::identity_file;
use crate::place::Place;
use crate::start;
use crate::store::{embedded, valkey};
use clap::Parser;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tim_proto::{edges, user_sig};

const DEFAULT_EXPIRE_S: i64 = 7 * 86_400;

/// Runs the command.
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

    /// The store's place, and the app whose users it holds.
    fn place(&self) -> Result<(Place, u32), String> {
        let config = self.config()?;
        let app = match config.sdk_app_id {
            Some(app) => app,
            None => identity_file::of_data_dir(config.data_dir())?.sdk_app_id,
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
