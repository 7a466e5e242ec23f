//! Looks names up without blocking: the system's look-up cannot be interrupted, so helper threads
//! shared by the whole process run it. They exit when nothing is left to look up.
//!
//! A name server that does not answer occupies a helper until the system gives up, which may take
//! half a minute. So there are several helpers; no name may occupy all of them; and a caller that
//! asks for a stuck name again after a while gets a fresh look-up.

use crate::os::{self, PerProcess, Poller, monotonic_ms};
use crate::panics;
use crate::sync::{Mutex, lock};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Weak};

/// The most helpers there may be.
const HELPERS_MAX: usize = 8;
/// The most of them that may look up the same name.
const OF_A_NAME_MAX: usize = 2;
/// A caller joins a pending look-up of the same name that is younger than this, in ms.
const JOIN_MS: u64 = 3_000;
/// getaddrinfo runs the system's modules on this stack.
const STACK_SIZE: usize = 512 * 1024;

type Answer = Result<Vec<IpAddr>, String>;

/// One look-up.
struct Job {
    host: String,
    begun_ms: u64,
    /// The callers that wait; dead once a caller has given up.
    waiting: Mutex<Vec<Weak<Caller>>>,
    answer: Mutex<Option<Answer>>,
}

/// Who waits for a look-up.
struct Caller {
    poller: Arc<Poller>,
}

impl Job {
    fn join(self: &Arc<Job>, poller: &Arc<Poller>) -> PendingLookup {
        let caller = Arc::new(Caller {
            poller: poller.clone(),
        });
        lock(&self.waiting).push(Arc::downgrade(&caller));
        PendingLookup {
            job: self.clone(),
            _caller: caller,
        }
    }

    fn is_wanted(&self) -> bool {
        lock(&self.waiting)
            .iter()
            .any(|caller| caller.strong_count() > 0)
    }
}

/// A look-up in progress. Dropping it gives it up.
pub(super) struct PendingLookup {
    job: Arc<Job>,
    /// Alive as long as the look-up is wanted.
    _caller: Arc<Caller>,
}

impl PendingLookup {
    /// Whether the answer is there; the caller's poller is woken then.
    pub(super) fn is_done(&self) -> bool {
        lock(&self.job.answer).is_some()
    }

    pub(super) fn answer(&self) -> Answer {
        let answer = lock(&self.job.answer).clone();
        answer.unwrap_or_else(|| Err("the name has not been looked up yet".to_owned()))
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Job>>,
    running: Vec<Arc<Job>>,
    helpers: usize,
}

struct Lookups {
    state: Mutex<State>,
    look_up: fn(&str) -> io::Result<Vec<IpAddr>>,
}

static LOOKUPS: PerProcess<Lookups> = PerProcess::new(|| Lookups {
    state: Mutex::default(),
    look_up: |host| {
        let addresses = (host, 0).to_socket_addrs()?;
        Ok(addresses.map(|address| address.ip()).collect())
    },
});

/// Starts looking a name up, and wakes `poller` when that is done.
pub(super) fn start(host: &str, poller: &Arc<Poller>) -> io::Result<PendingLookup> {
    LOOKUPS.get().ask(host, poller, monotonic_ms())
}

/// In the child of a fork, the helpers do not exist.
pub(crate) fn begin_anew() {
    LOOKUPS.forget();
}

impl Lookups {
    fn ask(
        &'static self,
        host: &str,
        poller: &Arc<Poller>,
        now_ms: u64,
    ) -> io::Result<PendingLookup> {
        let mut state = lock(&self.state);
        let of_this_name = |job: &&Arc<Job>| job.host == host;
        let running = state.running.iter().filter(of_this_name).count();
        let jobs = state.queue.iter().chain(&state.running);
        let newest = jobs.filter(of_this_name).max_by_key(|job| job.begun_ms);
        if let Some(job) = newest
            && (running >= OF_A_NAME_MAX || now_ms.saturating_sub(job.begun_ms) < JOIN_MS)
        {
            return Ok(job.join(poller));
        }
        let job = Arc::new(Job {
            host: host.to_owned(),
            begun_ms: now_ms,
            waiting: Mutex::default(),
            answer: Mutex::default(),
        });
        let lookup = job.join(poller);
        if state.helpers < HELPERS_MAX {
            match self.start_helper() {
                Ok(()) => state.helpers += 1,
                // The running helpers will get to it.
                Err(_) if state.helpers > 0 => {}
                Err(error) => return Err(error),
            }
        }
        state.queue.push_back(job);
        Ok(lookup)
    }

    fn start_helper(&'static self) -> io::Result<()> {
        os::with_signals_blocked(|| {
            std::thread::Builder::new()
                .name("tim-lookup".into())
                .stack_size(STACK_SIZE)
                .spawn(|| self.help())
        })?;
        Ok(())
    }

    /// The life of a helper.
    fn help(&self) {
        while let Some(job) = self.next() {
            let answer = match panics::caught(|| (self.look_up)(&job.host)) {
                Ok(Ok(addresses)) => Ok(addresses),
                Ok(Err(error)) => Err(format!("the name could not be looked up: {error}")),
                Err(_) => Err("the look-up failed inside libtim".to_owned()),
            };
            lock(&self.state)
                .running
                .retain(|running| !Arc::ptr_eq(running, &job));
            *lock(&job.answer) = Some(answer);
            for waiting in lock(&job.waiting).drain(..) {
                if let Some(caller) = waiting.upgrade() {
                    caller.poller.wake();
                }
            }
        }
    }

    /// The next look-up that somebody waits for, or `None`, which ends the helper.
    fn next(&self) -> Option<Arc<Job>> {
        let mut state = lock(&self.state);
        state.queue.retain(|job| job.is_wanted());
        let Some(job) = state.queue.pop_front() else {
            state.helpers -= 1;
            return None;
        };
        state.running.push(job.clone());
        Some(job)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::Condvar;
    use std::thread;

    /// Names that begin with "stuck" are answered once the gate opens.
    static GATE: (std::sync::Mutex<bool>, Condvar) = (std::sync::Mutex::new(false), Condvar::new());
    static BEGUN: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

    fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
        BEGUN.lock().unwrap().push(host.to_owned());
        if host.starts_with("stuck") {
            let open = GATE.0.lock().unwrap();
            let _open = GATE.1.wait_while(open, |open| !*open).unwrap();
        }
        if host.starts_with("none") {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }

    fn lookups() -> &'static Lookups {
        Box::leak(Box::new(Lookups {
            state: Mutex::default(),
            look_up,
        }))
    }

    fn answer(lookup: &PendingLookup) -> Answer {
        while !lookup.is_done() {
            lookup._caller.poller.wait(&[], None).unwrap();
        }
        lookup.answer()
    }

    /// Waits until a helper has begun it.
    fn begun(host: &str, times: usize) {
        let count = || {
            let begun = BEGUN.lock().unwrap();
            begun.iter().filter(|begun| *begun == host).count()
        };
        while count() < times {
            thread::yield_now();
        }
    }

    #[test]
    fn a_name_that_is_stuck_delays_no_other_and_no_later_attempt_and_never_takes_all_helpers() {
        let lookups = lookups();
        let begin = |host: &str, now_ms| {
            let poller = Arc::new(Poller::new().unwrap());
            lookups.ask(host, &poller, now_ms).unwrap()
        };
        // The same client again and again, each time after giving its look-up up.
        let _first = begin("stuck.a", 0);
        begun("stuck.a", 1);
        let joined = begin("stuck.a", JOIN_MS - 1);
        let later = begin("stuck.a", JOIN_MS);
        begun("stuck.a", 2);
        assert!(!Arc::ptr_eq(&joined.job, &later.job));
        for attempt in 2..20 {
            let again = begin("stuck.a", JOIN_MS * attempt);
            assert!(Arc::ptr_eq(&again.job, &later.job));
        }
        assert_eq!(lock(&lookups.state).helpers, OF_A_NAME_MAX);
        // Others are answered meanwhile.
        let other = begin("other", 0);
        assert_eq!(answer(&other), Ok(vec![Ipv4Addr::LOCALHOST.into()]));
        let none = begin("none", 0);
        assert!(
            answer(&none)
                .unwrap_err()
                .contains("could not be looked up")
        );

        // However many names are stuck, there are no more helpers than the limit.
        let names: Vec<String> = (0..20).map(|n| format!("stuck.b{n}")).collect();
        let all: Vec<PendingLookup> = names.iter().map(|n| begin(n, 0)).collect();
        let last = begin("last", 0);
        assert_eq!(lock(&lookups.state).helpers, HELPERS_MAX);
        // An abandoned look-up occupies no helper.
        drop(all);
        *GATE.0.lock().unwrap() = true;
        GATE.1.notify_all();
        assert_eq!(answer(&last), Ok(vec![Ipv4Addr::LOCALHOST.into()]));
        assert_eq!(answer(&later), Ok(vec![Ipv4Addr::LOCALHOST.into()]));
        // No helper is left over.
        while lock(&lookups.state).helpers > 0 {
            thread::yield_now();
        }
        let begun = BEGUN.lock().unwrap().len();
        assert!(
            begun < 20,
            "{begun}: names that nobody waited for were looked up"
        );
        let after = begin("after", 0);
        assert_eq!(answer(&after), Ok(vec![Ipv4Addr::LOCALHOST.into()]));
    }
}
