//! The keys `ca_file` and `system_roots`: whom a client trusts.

use super::keys::Keys;
use crate::transport::Trust;
use tim_proto::edges;

/// The largest `ca_file`, in bytes: many times the size of all public roots together.
const CA_FILE_MAX: u64 = 16 * 1024 * 1024;

/// Which authorities to trust; `None` if the connection needs none.
pub(super) fn read(keys: &Keys, https: bool) -> Result<Option<Trust>, String> {
    let ca_file = match keys.ca_file.as_deref() {
        None => None,
        Some(path) => {
            let path = edges::without_line_ends(path);
            Some((path, ca_file(path)?))
        }
    };
    let system_roots = keys.system_roots.unwrap_or(false);
    if !https && ca_file.is_none() && !system_roots {
        return Ok(None);
    }
    let pem = ca_file.as_ref().map(|(_, pem)| pem.as_slice());
    let trust = Trust::new(pem, system_roots).map_err(|error| match &ca_file {
        Some((path, _)) if error.starts_with("ca_file") => format!("{error} in \"{path}\""),
        _ => error,
    })?;
    Ok(https.then_some(trust))
}

fn ca_file(path: &str) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("ca_file: \"{path}\" cannot be read: {error}");
    // Reading a pipe or a device could block tim_client_create forever.
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > CA_FILE_MAX {
        return Err(format!(
            "ca_file: expected an ordinary file of at most {CA_FILE_MAX} bytes at \"{path}\""
        ));
    }
    let pem = std::fs::read(path).map_err(unreadable)?;
    // A byte order mark would hide the first line from the PEM parser.
    Ok(match pem.strip_prefix("\u{feff}".as_bytes()) {
        Some(rest) => rest.to_vec(),
        None => pem,
    })
}
