//! Ensures that only one server uses a data directory.

use super::failed;
use crate::store::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Holds a data directory. The system releases it when the process ends, however it ends.
pub struct Lock {
    _file: File,
}

/// Takes a data directory, unless another process holds it.
pub fn lock(directory: &Path) -> Result<Lock, StoreError> {
    let path = directory.join("lock");
    let here = |error: &dyn std::fmt::Display| failed(format_args!("{}: {error}", path.display()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(|error| here(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(failed(format_args!(
            "{} is in use: stop the tim-server that runs on it",
            directory.display()
        ))),
        Err(TryLockError::Error(error)) => Err(here(&error)),
    }
}
