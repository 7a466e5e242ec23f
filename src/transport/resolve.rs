//! Looking names up without blocking: the system's look-up cannot be interrupted, so one helper
//! thread of the process does it, which ends when nothing is left to look up.

use super::failure::{Cause, Phase};
use super::wait::Waiters;
use crate::os::{self, PerProcess, WakeUp, Want};
use crate::sync::{Mutex, MutexGuard, lock};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// More than a host ever has that one would try.
const ADDRESSES_MAX: usize = 16;
/// getaddrinfo runs modules of the system on this stack.
const STACK_SIZE: usize = 512 * 1024;

/// Resolves for ureq.
#[derive(Debug)]
pub(super) struct Lookup {
    waiters: Arc<Waiters>,
}

impl Lookup {
    pub(super) fn new(waiters: Arc<Waiters>) -> Lookup {
        Lookup { waiters }
    }

    fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ureq::Error> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        // RFC 6761: the name is this machine, whatever a name server would say.
        if bare.eq_ignore_ascii_case("localhost") {
            return Ok(vec![
                SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
                SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port),
            ]);
        }
        let waiter = self.waiters.newest();
        waiter.reach(Phase::Resolve);
        let job = ask(bare, port).map_err(|error| waiter.stop_io(&error))?;
        waiter.wait(&[(job.done.fd(), Want::Read)], None)?;
        let answer = job.answer().take();
        match answer {
            Some(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Some(Err(text)) => Err(waiter.stop(Cause::Dns, text)),
            _ => Err(waiter.stop(Cause::Dns, "the name has no address")),
        }
    }
}

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut resolved = self.empty();
        let https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let is_target = config.proxy().is_some_and(|proxy| proxy.uri() != uri);
        if is_target {
            // The proxy looks the server up; ureq wants an address all the same.
            resolved.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
            return Ok(resolved);
        }
        let addresses = self.addresses(uri.host().unwrap_or_default(), port)?;
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            resolved.push(address);
        }
        Ok(resolved)
    }
}

/// One name to look up. Whoever waits for it may have gone: then nobody takes the answer.
struct Job {
    host: String,
    port: u16,
    done: WakeUp,
    answer: Mutex<Option<Result<Vec<SocketAddr>, String>>>,
}

impl Job {
    fn answer(&self) -> MutexGuard<'_, Option<Result<Vec<SocketAddr>, String>>> {
        lock(&self.answer)
    }
}

struct Lookups {
    jobs: VecDeque<Arc<Job>>,
    thread_runs: bool,
}

static LOOKUPS: PerProcess<Mutex<Lookups>> = PerProcess::new(|_| {
    Mutex::new(Lookups {
        jobs: VecDeque::new(),
        thread_runs: false,
    })
});

fn lookups() -> MutexGuard<'static, Lookups> {
    lock(LOOKUPS.get())
}

/// For the child of a fork: the helper thread is not there.
pub(crate) fn begin_anew() {
    LOOKUPS.forget();
}

fn ask(host: &str, port: u16) -> std::io::Result<Arc<Job>> {
    let job = Arc::new(Job {
        host: host.to_owned(),
        port,
        done: WakeUp::new()?,
        answer: Mutex::new(None),
    });
    let mut lookups = lookups();
    lookups.jobs.push_back(job.clone());
    if !lookups.thread_runs {
        os::with_signals_blocked(|| {
            std::thread::Builder::new()
                .name("tim-lookup".into())
                .stack_size(STACK_SIZE)
                .spawn(run)
        })?;
        lookups.thread_runs = true;
    }
    Ok(job)
}

fn run() {
    loop {
        let job = {
            let mut lookups = lookups();
            // Nobody else holds a job whose waiter has gone.
            lookups.jobs.retain(|job| Arc::strong_count(job) > 1);
            let Some(job) = lookups.jobs.pop_front() else {
                lookups.thread_runs = false;
                return;
            };
            job
        };
        let answer = (job.host.as_str(), job.port)
            .to_socket_addrs()
            .map(Vec::from_iter)
            .map_err(|error| format!("the name could not be looked up: {error}"));
        *job.answer() = Some(answer);
        job.done.wake();
    }
}
