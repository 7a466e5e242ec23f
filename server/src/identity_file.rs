//! The app that the server serves: its id and keys, from the operator's files or from the data
//! directory, where the first start creates them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tim_proto::edges;
use tim_proto::user_sig::{UserSig, check_key};

/// The file names in a data directory.
const APP_ID_FILE: &str = "sdk_app_id";
const KEY_FILE: &str = "secret_key";

/// The environment variable with the key, unless a file has it.
const KEY_VARIABLE: &str = "TIM_SERVER_SECRET_KEY";

/// An app. It has no `Debug`: the keys must not be printed.
#[derive(Clone)]
pub struct App {
    pub sdk_app_id: u32,
    /// Signs new tickets.
    key: String,
    /// Further keys whose tickets are accepted.
    old_keys: Vec<String>,
}

impl App {
    /// The key that signs tickets.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether one of the app's keys signed the ticket.
    pub fn made(&self, sig: &UserSig) -> bool {
        sig.verify_mac(&self.key) || self.old_keys.iter().any(|key| sig.verify_mac(key))
    }

    /// Adds further keys to the app.
    pub fn with_old_keys(self, files: &[PathBuf]) -> Result<App, String> {
        let old_keys = files.iter().map(|file| read_key(file));
        Ok(App {
            old_keys: old_keys.collect::<Result<_, _>>()?,
            ..self
        })
    }
}

/// Reads the app that the operator names.
pub fn given(sdk_app_id: u32, key_file: &Path) -> Result<App, String> {
    let key = read_key(key_file)?;
    Ok(App {
        sdk_app_id,
        key,
        old_keys: Vec::new(),
    })
}

/// The app whose key is in the environment.
pub fn of_environment(sdk_app_id: u32) -> Result<App, String> {
    let key = std::env::var(KEY_VARIABLE).map_err(|_| {
        format!(
            "an app needs its key: --secret-key-file, secret_key_file in the settings, or \
             {KEY_VARIABLE} in the environment"
        )
    })?;
    let key = edges::trimmed(&key);
    check_key(key).map_err(|weak| format!("{KEY_VARIABLE}: {weak}"))?;
    Ok(App {
        sdk_app_id,
        key: key.to_owned(),
        old_keys: Vec::new(),
    })
}

/// Reads the app of a data directory; it is an error if there is none.
pub fn of_data_dir(data_dir: &Path) -> Result<App, String> {
    let (id_file, key_file) = files(data_dir);
    let text = fs::read_to_string(&id_file).map_err(|error| {
        format!(
            "{}: {error}; start `tim-server serve` with this data directory first, or give \
             --sdk-app-id and --secret-key-file",
            id_file.display()
        )
    })?;
    if edges::trimmed(&text).is_empty() {
        return Err(format!(
            "{} is empty: restore it, or remove it and {} to create a new app",
            id_file.display(),
            key_file.display()
        ));
    }
    let sdk_app_id = edges::trimmed(&text).parse().ok().filter(|id| *id > 0);
    let sdk_app_id = sdk_app_id.ok_or_else(|| {
        format!(
            "{}: expected a whole number from 1 to 4294967295",
            id_file.display()
        )
    })?;
    given(sdk_app_id, &key_file)
}

/// Reads the app of a data directory, or creates one; `true` if it was created.
pub fn of_data_dir_or_new(data_dir: &Path) -> Result<(App, bool), String> {
    let (id_file, key_file) = files(data_dir);
    if id_file.exists() {
        return Ok((of_data_dir(data_dir)?, false));
    }
    let mut random = [0; 36];
    getrandom::fill(&mut random).map_err(|error| format!("no random numbers: {error}"))?;
    let (id, key) = random.split_at(4);
    // Ten digits that start with 14, like the reference system's app ids.
    let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let sdk_app_id = 1_400_000_000 + id % 100_000_000;
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    // The key first: an id without a key would prevent the next start.
    write_private(&key_file, &format!("{key}\n"))?;
    write_private(&id_file, &format!("{sdk_app_id}\n"))?;
    Ok((given(sdk_app_id, &key_file)?, true))
}

fn files(data_dir: &Path) -> (PathBuf, PathBuf) {
    (data_dir.join(APP_ID_FILE), data_dir.join(KEY_FILE))
}

/// Reads a key file, without line ends and white space around the key.
fn read_key(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let key = edges::trimmed(&text);
    check_key(key).map_err(|weak| format!("{}: {weak}", path.display()))?;
    Ok(key.to_owned())
}

fn write_private(path: &Path, text: &str) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", path.display());
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)
}
