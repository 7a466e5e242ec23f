//! From a handle of the C API to its client.
//!
//! A handle is a slot's index and the slot's generation; generations are never given twice, so a
//! stale handle is an error code. One atomic word per slot holds generation and status: the status
//! getters are one look into a fixed array.

use crate::error;
use crate::session::{ConnectionStatus, LoginStatus};
use crate::sync::{Arc, AtomicU64, Mutex, MutexGuard, Ordering, lock};

#[cfg(not(tim_shuttle))]
const INDEX_BITS: u32 = 14;
#[cfg(tim_shuttle)]
const INDEX_BITS: u32 = 2;
/// How many clients a process can have.
pub(crate) const MAX_CLIENTS: usize = 1 << INDEX_BITS;
/// Handles stay below 2^53, where JavaScript and Lua numbers are exact.
const MAX_GENERATION: u64 = (1 << (53 - INDEX_BITS)) - 1;

// The word of a slot: generation, then flags, connection status and login status.
const LOGIN_MASK: u64 = 0b11;
const CONNECTION_SHIFT: u32 = 2;
const CONNECTION_MASK: u64 = 0b111;
const FLAGS_SHIFT: u32 = 5;
const CLOSING: u64 = 1 << 5;
const FORKED: u64 = 1 << 6;
const GENERATION_SHIFT: u32 = 8;

/// The number that C knows a client by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(pub u64);

impl Handle {
    fn index(self) -> usize {
        self.0 as usize & (MAX_CLIENTS - 1)
    }

    fn generation(self) -> u64 {
        self.0 >> INDEX_BITS
    }
}

/// Which device a client speaks for. Two live clients of a process may not share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceKey {
    pub(crate) server_url: String,
    pub(crate) sdk_app_id: u32,
    pub(crate) device_id: String,
}

struct Slot<T> {
    handle: Handle,
    device: DeviceKey,
    /// Absent until the client is whole.
    client: Option<Arc<T>>,
}

struct Table<T> {
    slots: Vec<Option<Slot<T>>>,
    /// The generation that each slot gives next.
    next_generation: Vec<u64>,
    free: Vec<usize>,
}

/// The clients of this process.
pub(crate) struct Registry<T: 'static> {
    words: &'static [AtomicU64; MAX_CLIENTS],
    table: Mutex<Table<T>>,
}

/// The table, held over a fork so that the child finds it whole.
pub(crate) struct Held<T: 'static> {
    _table: MutexGuard<'static, Table<T>>,
}

impl<T> Registry<T> {
    /// A registry whose status words live in `words`.
    pub(crate) const fn new(words: &'static [AtomicU64; MAX_CLIENTS]) -> Registry<T> {
        Registry {
            words,
            table: Mutex::new(Table {
                slots: Vec::new(),
                next_generation: Vec::new(),
                free: Vec::new(),
            }),
        }
    }

    /// Gives a handle for `device`; [`Registry::fill`] follows, or [`Registry::remove`].
    pub(crate) fn reserve(&self, device: DeviceKey) -> Result<Handle, i32> {
        let mut table = lock(&self.table);
        let taken = table.slots.iter().flatten().any(|slot| {
            slot.device == device && self.word(slot.handle).load(Ordering::Acquire) & FORKED == 0
        });
        if taken {
            return Err(error::ERR_DEVICE_IN_USE);
        }
        let index = match table.free.pop() {
            Some(index) => index,
            None if table.slots.len() < MAX_CLIENTS => {
                table.slots.push(None);
                table.next_generation.push(1);
                table.slots.len() - 1
            }
            None => return Err(error::ERR_TOO_MANY_CLIENTS),
        };
        let generation = table.next_generation[index];
        table.next_generation[index] += 1;
        let handle = Handle(generation << INDEX_BITS | index as u64);
        self.words[index].store(
            generation << GENERATION_SHIFT
                | u64::from(ConnectionStatus::Disconnected as u8) << CONNECTION_SHIFT
                | u64::from(LoginStatus::LoggedOut as u8),
            Ordering::Release,
        );
        table.slots[index] = Some(Slot {
            handle,
            device,
            client: None,
        });
        Ok(handle)
    }

    /// Puts the client behind its handle.
    pub(crate) fn fill(&self, handle: Handle, client: Arc<T>) {
        if let Some(slot) = lock(&self.table).slots[handle.index()].as_mut() {
            slot.client = Some(client);
        }
    }

    /// The client of a handle, for every call but destroy.
    pub(crate) fn get(&self, handle: Handle) -> Result<Arc<T>, i32> {
        match self.state(handle)? {
            word if word & CLOSING != 0 => Err(error::ERR_CLOSING),
            _ => self.get_closing(handle),
        }
    }

    /// The client of a handle, also while it is closing.
    pub(crate) fn get_closing(&self, handle: Handle) -> Result<Arc<T>, i32> {
        self.state(handle)?;
        let table = lock(&self.table);
        match table.slots.get(handle.index()) {
            Some(Some(slot)) if slot.handle == handle => {
                slot.client.clone().ok_or(error::ERR_NO_SUCH_CLIENT)
            }
            _ => Err(error::ERR_NO_SUCH_CLIENT),
        }
    }

    /// The slot's word, if the handle is live and of this process.
    fn state(&self, handle: Handle) -> Result<u64, i32> {
        let word = self.word(handle).load(Ordering::Acquire);
        if handle.generation() == 0 || word >> GENERATION_SHIFT != handle.generation() {
            Err(error::ERR_NO_SUCH_CLIENT)
        } else if word & FORKED != 0 {
            Err(error::ERR_FORKED)
        } else {
            Ok(word)
        }
    }

    fn word(&self, handle: Handle) -> &AtomicU64 {
        &self.words[handle.index()]
    }

    /// Shows the client's status to the getters.
    pub(crate) fn publish(&self, handle: Handle, login: LoginStatus, connection: ConnectionStatus) {
        // Only the holder of the client's own lock publishes, so nothing is lost between the
        // two steps but a flag; flags are set by read-modify-write, and so is this.
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

    /// The login status, or 0 for no such client.
    #[inline]
    pub(crate) fn login_status(&self, handle: Handle) -> i32 {
        self.status(handle, 0, LOGIN_MASK)
    }

    /// The connection status, or 0 for no such client.
    #[inline]
    pub(crate) fn connection_status(&self, handle: Handle) -> i32 {
        self.status(handle, CONNECTION_SHIFT, CONNECTION_MASK)
    }

    #[inline]
    fn status(&self, handle: Handle, shift: u32, mask: u64) -> i32 {
        let word = self.words[handle.index()].load(Ordering::Acquire);
        // Equal only if the generation fits and no flag is set. The word of a slot that never
        // was used is 0, which fits handles below MAX_CLIENTS and reads as status 0.
        let live = handle.generation() << (GENERATION_SHIFT - FLAGS_SHIFT);
        if word >> FLAGS_SHIFT == live {
            (word >> shift & mask) as i32
        } else {
            0
        }
    }

    /// From now on every call but destroy is told that the client is closing.
    pub(crate) fn begin_closing(&self, handle: Handle) {
        self.word(handle).fetch_or(CLOSING, Ordering::AcqRel);
    }

    /// Takes the client out: its handle is stale from now on. Does nothing the second time.
    pub(crate) fn remove(&self, handle: Handle) {
        let mut table = lock(&self.table);
        let index = handle.index();
        let ours = matches!(&table.slots[index], Some(slot) if slot.handle == handle);
        if !ours {
            return;
        }
        let slot = table.slots[index].take();
        self.words[index].store(0, Ordering::Release);
        if table.next_generation[index] <= MAX_GENERATION {
            table.free.push(index);
        }
        drop(table);
        // The client's last reference may end here: outside of the lock.
        drop(slot);
    }

    /// Holds the table while the process forks.
    pub(crate) fn hold(&'static self) -> Held<T> {
        Held {
            _table: lock(&self.table),
        }
    }

    /// Marks every client as the parent's: for the child of a fork. Needs no lock.
    pub(crate) fn mark_forked(&self) {
        for word in self.words {
            if word.load(Ordering::Relaxed) != 0 {
                word.fetch_or(FORKED, Ordering::AcqRel);
            }
        }
    }
}

/// A registry of a test's own, which is never freed.
#[cfg(test)]
pub(crate) fn for_test<T>() -> &'static Registry<T> {
    let words: Vec<AtomicU64> = (0..MAX_CLIENTS).map(|_| AtomicU64::new(0)).collect();
    let Ok(words) = <Box<[AtomicU64; MAX_CLIENTS]>>::try_from(words.into_boxed_slice()) else {
        unreachable!("as many words as the array has");
    };
    Box::leak(Box::new(Registry::new(Box::leak(words))))
}

#[cfg(all(test, not(tim_shuttle)))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn registry() -> &'static Registry<&'static str> {
        for_test()
    }

    fn device(name: &str) -> DeviceKey {
        DeviceKey {
            server_url: "http://localhost".into(),
            sdk_app_id: 1,
            device_id: name.into(),
        }
    }

    fn add(registry: &Registry<&'static str>, name: &'static str) -> Handle {
        let handle = registry.reserve(device(name)).unwrap();
        registry.fill(handle, Arc::new(name));
        handle
    }

    #[test]
    fn a_handle_finds_its_client_until_it_is_removed() {
        let registry = registry();
        let handle = add(registry, "a");
        assert_eq!(*registry.get(handle).unwrap(), "a");
        assert_eq!(registry.login_status(handle), 3);
        assert_eq!(registry.connection_status(handle), 2);
        registry.remove(handle);
        assert_eq!(registry.get(handle), Err(error::ERR_NO_SUCH_CLIENT));
        assert_eq!(registry.login_status(handle), 0);
    }

    #[test]
    fn a_stale_handle_never_finds_the_next_client_of_its_slot() {
        let registry = registry();
        let first = add(registry, "a");
        registry.remove(first);
        let second = add(registry, "b");
        assert_eq!(first.index(), second.index());
        assert_eq!(registry.get(first), Err(error::ERR_NO_SUCH_CLIENT));
        registry.remove(first);
        assert_eq!(*registry.get(second).unwrap(), "b");
    }

    #[test]
    fn a_number_that_never_was_a_handle_is_no_client() {
        let registry = registry();
        add(registry, "a");
        for number in [0, 1, MAX_CLIENTS as u64 - 1, 1 << 20, u64::MAX, 1 << 63] {
            let handle = Handle(number);
            assert_eq!(registry.get(handle), Err(error::ERR_NO_SUCH_CLIENT));
            assert_eq!(registry.login_status(handle), 0);
            assert_eq!(registry.connection_status(handle), 0);
        }
    }

    #[test]
    fn a_closing_client_is_found_by_destroy_alone() {
        let registry = registry();
        let handle = add(registry, "a");
        registry.begin_closing(handle);
        assert_eq!(registry.get(handle), Err(error::ERR_CLOSING));
        assert_eq!(registry.login_status(handle), 0);
        assert!(registry.get_closing(handle).is_ok());
        registry.publish(
            handle,
            LoginStatus::LoggedOut,
            ConnectionStatus::Disconnected,
        );
        assert_eq!(registry.get(handle), Err(error::ERR_CLOSING));
    }

    #[test]
    fn a_device_belongs_to_one_live_client() {
        let registry = registry();
        let handle = add(registry, "a");
        assert_eq!(registry.reserve(device("a")), Err(error::ERR_DEVICE_IN_USE));
        registry.remove(handle);
        assert!(registry.reserve(device("a")).is_ok());
    }

    #[test]
    fn the_childs_copies_of_the_parents_clients_are_forked_and_hold_no_device() {
        let registry = registry();
        let parents = add(registry, "a");
        registry.mark_forked();
        assert_eq!(registry.get(parents), Err(error::ERR_FORKED));
        assert_eq!(registry.login_status(parents), 0);
        let own = add(registry, "a");
        assert_eq!(*registry.get(own).unwrap(), "a");
    }

    #[test]
    fn the_client_after_the_last_is_refused() {
        let registry = registry();
        // The table is filled by hand: the look-up for equal devices makes 16,384 creates slow.
        lock(&registry.table)
            .slots
            .resize_with(MAX_CLIENTS, || None);
        assert_eq!(
            registry.reserve(device("one more")),
            Err(error::ERR_TOO_MANY_CLIENTS)
        );
    }
}
