//! The system's figures on the process: CPU time, memory, files, age.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// The system counts a process's time in fractions of a second (`USER_HZ`, fixed on Linux).
const TICKS_PER_S: f64 = 100.0;

/// The process since its start.
#[derive(Debug)]
pub struct Process {
    started: SystemTime,
}

impl Default for Process {
    fn default() -> Process {
        Process {
            started: SystemTime::now(),
        }
    }
}

/// What cannot be read, as on systems other than Linux, is left out.
impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge = |name, help, value: Option<f64>| match value {
            None => Ok(()),
            Some(value) => {
                let gauge = ConstGauge::new(value);
                let kind = gauge.metric_type();
                gauge.encode(encoder.encode_descriptor(name, help, None, kind)?)
            }
        };
        gauge(
            "process_resident_memory_bytes",
            "Resident memory",
            resident(),
        )?;
        gauge("process_open_fds", "Open files and sockets", open_files())?;
        let started = self.started.duration_since(UNIX_EPOCH).ok();
        gauge(
            "process_start_time_seconds",
            "Start time, in Unix time",
            started.map(|started| started.as_secs_f64()),
        )?;
        let Some(seconds) = processor_seconds() else {
            return Ok(());
        };
        let counter = ConstCounter::new(seconds);
        let (name, help) = ("process_cpu_seconds", "CPU time");
        let kind = counter.metric_type();
        counter.encode(encoder.encode_descriptor(name, help, None, kind)?)
    }
}

fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0)
}

fn open_files() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    // Not counting the directory itself.
    u32::try_from(count)
        .ok()
        .map(|count| f64::from(count) - 1.0)
}

fn processor_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in parentheses, may contain anything; the times are the 12th and 13th
    // fields after it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11);
    let (user, system): (f64, f64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_S)
}
