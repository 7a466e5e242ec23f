//! One atomic word for each client that a process can have: generation, flags and status. A status
//! getter is one read of this array. Only the array outlives a fork: the rest of the registry may
//! be locked forever in a child.

use super::Handle;
use crate::error;
use crate::session::{ConnectionStatus, LoginStatus};
use crate::sync::{AtomicU64, Ordering};

#[cfg(not(tim_shuttle))]
pub(super) const INDEX_BITS: u32 = 14;
#[cfg(tim_shuttle)]
pub(super) const INDEX_BITS: u32 = 2;
/// How many clients a process can have.
pub(crate) const MAX_CLIENTS: usize = 1 << INDEX_BITS;
/// Handles stay below 2^53, where JavaScript and Lua numbers are exact.
const MAX_GENERATION: u64 = (1 << (53 - INDEX_BITS)) - 1;

// A word: generation, then flags, connection status and login status.
const LOGIN_MASK: u64 = 0b11;
const CONNECTION_SHIFT: u32 = 2;
const CONNECTION_MASK: u64 = 0b111;
const FLAGS_SHIFT: u32 = 5;
/// The client is being destroyed.
const CLOSING: u64 = 1 << 5;
/// The client belongs to the parent process.
const FORKED: u64 = 1 << 6;
/// The client is gone; its generation stays, so that it is never reused.
const FREE: u64 = 1 << 7;
const GENERATION_SHIFT: u32 = 8;

/// The words of all clients of a process.
pub(crate) struct Words([AtomicU64; MAX_CLIENTS]);

impl Words {
    #[cfg(not(tim_shuttle))]
    pub(crate) const fn new() -> Words {
        Words([const { AtomicU64::new(0) }; MAX_CLIENTS])
    }

    #[cfg(tim_shuttle)]
    pub(crate) fn new() -> Words {
        Words(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    fn word(&self, handle: Handle) -> &AtomicU64 {
        &self.0[handle.index()]
    }

    /// Assigns the word at `index` to a new client. `None` if it has no generations left, or if a
    /// client of the parent process holds it.
    pub(super) fn take(&self, index: usize) -> Option<Handle> {
        let word = self.0[index].load(Ordering::Acquire);
        let generation = (word >> GENERATION_SHIFT) + 1;
        if word & FORKED != 0 || generation > MAX_GENERATION {
            return None;
        }
        self.0[index].store(
            generation << GENERATION_SHIFT
                | u64::from(ConnectionStatus::Disconnected as u8) << CONNECTION_SHIFT
                | u64::from(LoginStatus::LoggedOut as u8),
            Ordering::Release,
        );
        Some(Handle(generation << INDEX_BITS | index as u64))
    }

    /// Frees the word: its handle is stale from now on.
    pub(super) fn give_back(&self, handle: Handle) {
        let free = handle.generation() << GENERATION_SHIFT | FREE;
        self.word(handle).store(free, Ordering::Release);
    }

    /// Whether the client is closing; an error if the handle is not that of a live client of this
    /// process.
    pub(super) fn is_closing(&self, handle: Handle) -> Result<bool, i32> {
        let word = self.word(handle).load(Ordering::Acquire);
        let generation = handle.generation();
        if generation == 0 || word >> GENERATION_SHIFT != generation || word & FREE != 0 {
            Err(error::ERR_NO_SUCH_CLIENT)
        } else if word & FORKED != 0 {
            Err(error::ERR_FORKED)
        } else {
            Ok(word & CLOSING != 0)
        }
    }

    /// Makes the client's status visible to the getters.
    pub(super) fn publish(&self, handle: Handle, login: LoginStatus, connection: ConnectionStatus) {
        // Only the holder of the client's own lock publishes, so only flags can change between the
        // two steps; those are set by read-modify-write, as is this.
        let status = u64::from(login as u8) | u64::from(connection as u8) << CONNECTION_SHIFT;
        let mask = LOGIN_MASK | CONNECTION_MASK << CONNECTION_SHIFT;
        let word = self.word(handle);
        let mut old = word.load(Ordering::Relaxed);
        while old >> GENERATION_SHIFT == handle.generation() {
            match word.compare_exchange(
                old,
                old & !mask | status,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(newer) => old = newer,
            }
        }
    }

    /// The login status, or 0 if there is no such client.
    #[inline]
    pub(crate) fn login_status(&self, handle: Handle) -> i32 {
        self.status(handle, 0, LOGIN_MASK)
    }

    /// The connection status, or 0 if there is no such client.
    #[inline]
    pub(crate) fn connection_status(&self, handle: Handle) -> i32 {
        self.status(handle, CONNECTION_SHIFT, CONNECTION_MASK)
    }

    #[inline]
    fn status(&self, handle: Handle, shift: u32, mask: u64) -> i32 {
        let word = self.word(handle).load(Ordering::Acquire);
        // Equal only if the generation matches and no flag is set. A word that was never used is 0:
        // it matches handles below MAX_CLIENTS and reads as status 0.
        let live = handle.generation() << (GENERATION_SHIFT - FLAGS_SHIFT);
        if word >> FLAGS_SHIFT == live {
            (word >> shift & mask) as i32
        } else {
            0
        }
    }

    /// From now on every call but destroy returns the code for a closing client.
    pub(super) fn begin_closing(&self, handle: Handle) {
        self.word(handle).fetch_or(CLOSING, Ordering::AcqRel);
    }

    /// Marks every client as the parent's, in the child of a fork.
    pub(crate) fn mark_forked(&self) {
        for word in &self.0 {
            let value = word.load(Ordering::Relaxed);
            if value != 0 && value & FREE == 0 {
                word.store(value | FORKED, Ordering::Release);
            }
        }
    }
}
