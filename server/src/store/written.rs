//! Waiting for a write, and notifying those who wait.
//!
//! Waking a task on another thread is a system call, and many tasks wait for each write: one per
//! thread is woken and notifies the others of its thread.

use super::StoreError;
use std::thread::{self, ThreadId};
use tokio::sync::oneshot;

/// The result of a write.
pub type Outcome = Result<(), StoreError>;

/// Completes once a swap is as durable as the store promises.
pub struct Written(Option<oneshot::Receiver<Notice>>);

/// The notifying end of one waiting task.
pub struct Asker {
    thread: ThreadId,
    to: oneshot::Sender<Notice>,
}

/// The notice to one waiting task, which passes it on to the others of its thread.
struct Notice {
    outcome: Outcome,
    others: Vec<oneshot::Sender<Notice>>,
}

impl Drop for Notice {
    // In `drop`, because the receiver may be gone.
    fn drop(&mut self) {
        for to in self.others.drain(..) {
            let _ = to.send(Notice {
                outcome: self.outcome.clone(),
                others: Vec::new(),
            });
        }
    }
}

impl Written {
    pub fn already() -> Written {
        Written(None)
    }

    /// Completes when the asker is notified.
    pub fn later() -> (Asker, Written) {
        let (to, notice) = oneshot::channel();
        let thread = thread::current().id();
        (Asker { thread, to }, Written(Some(notice)))
    }

    pub async fn wait(self) -> Outcome {
        let Some(notice) = self.0 else {
            return Ok(());
        };
        match notice.await {
            Ok(notice) => notice.outcome.clone(),
            Err(_) => Err(StoreError::Failed("its thread has ended".to_owned())),
        }
    }
}

/// Notifies all of them.
pub fn tell(askers: impl IntoIterator<Item = Option<Asker>>, outcome: &Outcome) {
    let mut threads: Vec<(ThreadId, Vec<oneshot::Sender<Notice>>)> = Vec::new();
    for Asker { thread, to } in askers.into_iter().flatten() {
        match threads.iter_mut().find(|(known, _)| *known == thread) {
            Some((_, others)) => others.push(to),
            None => threads.push((thread, vec![to])),
        }
    }
    for (_, mut others) in threads {
        if let Some(first) = others.pop() {
            let outcome = outcome.clone();
            let _ = first.send(Notice { outcome, others });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn later() -> (Option<Asker>, Written) {
        let (asker, later) = Written::later();
        (Some(asker), later)
    }

    /// How many of these have been notified.
    fn notified(waiting: &[Written]) -> usize {
        let notice = waiting.iter().filter_map(|written| written.0.as_ref());
        notice.filter(|notice| !notice.is_empty()).count()
    }

    fn comes(written: Written) -> bool {
        let mut waiting = std::pin::pin!(written.wait());
        let mut cx = Context::from_waker(Waker::noop());
        matches!(waiting.as_mut().poll(&mut cx), Poll::Ready(Ok(())))
    }

    #[test]
    fn one_of_a_thread_is_woken_and_tells_the_others() {
        let (askers, mut waiting): (Vec<_>, Vec<_>) = (0..5).map(|_| later()).unzip();
        let elsewhere = thread::spawn(later).join().unwrap();
        tell(askers.into_iter().chain([elsewhere.0]), &Ok(()));
        assert_eq!(notified(&waiting), 1);
        assert!(comes(elsewhere.1), "another thread has its own");
        assert_eq!(notified(&waiting), 1);
        assert!(comes(waiting.pop().unwrap()), "the last that came is woken");
        assert_eq!(notified(&waiting), 4);
        assert!(waiting.into_iter().all(comes));
    }

    #[test]
    fn a_waiter_that_goes_away_keeps_no_other_from_being_notified() {
        for after_it_was_told in [false, true] {
            let (askers, mut waiting): (Vec<_>, Vec<_>) = (0..3).map(|_| later()).unzip();
            if after_it_was_told {
                tell(askers, &Ok(()));
                drop(waiting.pop());
            } else {
                drop(waiting.pop());
                tell(askers, &Ok(()));
            }
            assert_eq!(notified(&waiting), 2);
        }
    }
}
