//! Raises the number of files and sockets that the process may open: each connection takes one.

use crate::config::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors other than connections: listeners, logs, the store.
const OTHERS: u64 = 100;

/// Raises the limit as far as the system allows, and warns if that is less than the settings need.
pub fn raise(config: &Config) {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let raised = setrlimit(Resource::Nofile, most);
    let may_open = match raised {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let wanted = config.limits.connections as u64 + OTHERS;
    if let Some(may_open) = may_open.filter(|may_open| *may_open < wanted) {
        tracing::warn!(
            may_open,
            wanted,
            "limits.connections counts on more open files than this process may have: raise them \
             (ulimit -Hn, LimitNOFILE), or lower it"
        );
    }
}
