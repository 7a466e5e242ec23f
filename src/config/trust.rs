//! The keys `ca_file` and `system_roots`: whom a client trusts.

use super::Keys;
use crate::transport::Trust;
use tim_proto::edges;

/// The largest `ca_file`, in bytes: many times the size of all public roots together.
const CA_FILE_MAX: u64 = 16 * 1024 * 1024;

/// Whom to trust; `None` where nobody has to be.
pub(super) fn read(object: &Keys<'_>, https: bool) -> Result<Option<Trust>, String> {
    let ca_file = match object.text("ca_file")? {
        None => None,
        Some(path) => {
            let path = edges::without_line_ends(path);
            Some((path, ca_file(path)?))
        }
    };
    let system_roots = object.truth("system_roots")?.unwrap_or(false);
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
    // A pipe or a device could keep tim_client_create for ever.
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > CA_FILE_MAX {
        return Err(format!(
            "ca_file: expected an ordinary file of at most {CA_FILE_MAX} bytes at \"{path}\""
        ));
    }
    let pem = std::fs::read(path).map_err(unreadable)?;
    // A byte order mark in front would hide the first line from the reader of PEM.
    Ok(match pem.strip_prefix("\u{feff}".as_bytes()) {
        Some(rest) => rest.to_vec(),
        None => pem,
    })
}
