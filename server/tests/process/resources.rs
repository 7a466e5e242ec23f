//! What the system says about a server's resources.

use super::Server;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The system counts a process's time in fractions of a second (`USER_HZ`, fixed on Linux).
const TICKS_PER_S: f64 = 100.0;

impl Server {
    /// Its peak memory, in bytes.
    pub fn most_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let kib: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        kib * 1024
    }

    /// Its CPU time, in seconds.
    pub fn processor_s(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = std::fs::read_to_string(path).unwrap();
        // The program's name, in parentheses, may contain anything; the times are the 12th and 13th
        // fields after it.
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let times = fields.split(' ').skip(11).take(2);
        times.map(|time| time.parse::<f64>().unwrap()).sum::<f64>() / TICKS_PER_S
    }
}

/// Lets this process, and servers it starts from now on, open as many files as the system allows.
/// Returns how many.
pub fn all_files() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    maximum.unwrap_or(u64::MAX)
}
