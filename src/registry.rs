//! Finds the client of a C handle.
//!
//! A handle is the index of a slot and the slot's generation. Generations are never reused, not
//! even in a forked child, so a stale handle yields an error code.

mod words;

pub(crate) use words::{MAX_CLIENTS, Words};

use crate::error;
use crate::session::{ConnectionStatus, LoginStatus};
use crate::sync::{Arc, Mutex, lock};
use words::INDEX_BITS;

/// The number by which C code refers to a client.
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

/// The device that a client speaks for. Two live clients of one process must not share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceKey {
    pub(crate) server_url: String,
    pub(crate) sdk_app_id: u32,
    pub(crate) device_id: String,
}

struct Slot<T> {
    handle: Handle,
    device: DeviceKey,
    name: Option<String>,
    /// Absent until the client is complete.
    client: Option<Arc<T>>,
}

struct Table<T> {
    slots: Vec<Option<Slot<T>>>,
    free: Vec<usize>,
}

/// The clients of this process.
pub(crate) struct Registry<T: 'static> {
    words: &'static Words,
    table: Mutex<Table<T>>,
}

impl<T> Registry<T> {
    /// An empty registry whose status words live in `words`.
    pub(crate) fn new(words: &'static Words) -> Registry<T> {
        Registry {
            words,
            table: Mutex::new(Table {
                slots: Vec::new(),
                free: Vec::new(),
            }),
        }
    }

    /// Assigns a handle for `device`; [`Registry::fill`] or [`Registry::remove`] follows.
    pub(crate) fn reserve(&self, device: DeviceKey, name: Option<String>) -> Result<Handle, i32> {
        let mut table = lock(&self.table);
        for slot in table.slots.iter().flatten() {
            if name.is_some() && slot.name == name {
                return Err(error::ERR_NAME_IN_USE);
            }
            if slot.device == device {
                return Err(error::ERR_DEVICE_IN_USE);
            }
        }
        let handle = loop {
            let index = match table.free.pop() {
                Some(index) => index,
                None if table.slots.len() < MAX_CLIENTS => {
                    table.slots.push(None);
                    table.slots.len() - 1
                }
                None => return Err(error::ERR_TOO_MANY_CLIENTS),
            };
            // A slot without generations left is not tried again.
            if let Some(handle) = self.words.take(index) {
                break handle;
            }
        };
        table.slots[handle.index()] = Some(Slot {
            handle,
            device,
            name,
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
        match self.words.is_closing(handle)? {
            true => Err(error::ERR_CLOSING),
            false => self.get_closing(handle),
        }
    }

    /// The client of a handle, even while it is closing.
    pub(crate) fn get_closing(&self, handle: Handle) -> Result<Arc<T>, i32> {
        self.words.is_closing(handle)?;
        let table = lock(&self.table);
        match table.slots.get(handle.index()) {
            Some(Some(slot)) if slot.handle == handle => {
                slot.client.clone().ok_or(error::ERR_NO_SUCH_CLIENT)
            }
            _ => Err(error::ERR_NO_SUCH_CLIENT),
        }
    }

    /// The complete client with that name, and whether it is closing.
    pub(crate) fn find(&self, name: &str) -> Option<(Handle, bool)> {
        let table = lock(&self.table);
        let named = |slot: &&Slot<T>| slot.client.is_some() && slot.name.as_deref() == Some(name);
        let handle = table.slots.iter().flatten().find(named)?.handle;
        Some((handle, self.words.is_closing(handle).unwrap_or(true)))
    }

    /// Makes the client's status visible to the getters.
    pub(crate) fn publish(&self, handle: Handle, login: LoginStatus, connection: ConnectionStatus) {
        self.words.publish(handle, login, connection);
    }

    /// From now on every call but destroy returns the code for a closing client.
    pub(crate) fn begin_closing(&self, handle: Handle) {
        self.words.begin_closing(handle);
    }

    /// Removes the client: its handle is stale from now on. Does nothing the second time.
    pub(crate) fn remove(&self, handle: Handle) {
        let mut table = lock(&self.table);
        let index = handle.index();
        let ours = matches!(&table.slots[index], Some(slot) if slot.handle == handle);
        if !ours {
            return;
        }
        let slot = table.slots[index].take();
        self.words.give_back(handle);
        table.free.push(index);
        drop(table);
        // This may drop the last reference to the client, so it happens outside the lock.
        drop(slot);
    }
}

/// A test's own registry, which is never freed.
#[cfg(test)]
pub(crate) fn for_test<T>() -> (&'static Words, &'static Registry<T>) {
    let words = Box::leak(Box::new(Words::new()));
    (words, Box::leak(Box::new(Registry::new(words))))
}

#[cfg(all(test, not(tim_shuttle)))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn registry() -> (&'static Words, &'static Registry<&'static str>) {
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
        let handle = registry.reserve(device(name), None).unwrap();
        registry.fill(handle, Arc::new(name));
        handle
    }

    #[test]
    fn a_handle_finds_its_client_until_it_is_removed() {
        let (words, registry) = registry();
        let handle = add(registry, "a");
        assert_eq!(*registry.get(handle).unwrap(), "a");
        assert_eq!(words.login_status(handle), 3);
        assert_eq!(words.connection_status(handle), 2);
        registry.remove(handle);
        assert_eq!(registry.get(handle), Err(error::ERR_NO_SUCH_CLIENT));
        assert_eq!(words.login_status(handle), 0);
        assert_eq!(words.connection_status(handle), 0);
    }

    #[test]
    fn a_stale_handle_never_finds_the_next_client_of_its_slot() {
        let (words, registry) = registry();
        let first = add(registry, "a");
        registry.remove(first);
        let second = add(registry, "b");
        assert_eq!(first.index(), second.index());
        assert_eq!(registry.get(first), Err(error::ERR_NO_SUCH_CLIENT));
        assert_eq!(words.login_status(first), 0);
        registry.remove(first);
        assert_eq!(*registry.get(second).unwrap(), "b");
    }

    #[test]
    fn a_number_that_never_was_a_handle_is_no_client() {
        let (words, registry) = registry();
        add(registry, "a");
        for number in [0, 1, MAX_CLIENTS as u64 - 1, 1 << 20, u64::MAX, 1 << 63] {
            let handle = Handle(number);
            assert_eq!(registry.get(handle), Err(error::ERR_NO_SUCH_CLIENT));
            assert_eq!(words.login_status(handle), 0);
            assert_eq!(words.connection_status(handle), 0);
        }
    }

    #[test]
    fn a_closing_client_is_found_by_destroy_alone() {
        let (words, registry) = registry();
        let handle = add(registry, "a");
        registry.begin_closing(handle);
        assert_eq!(registry.get(handle), Err(error::ERR_CLOSING));
        assert_eq!(words.login_status(handle), 0);
        assert!(registry.get_closing(handle).is_ok());
        registry.publish(
            handle,
            LoginStatus::LoggedOut,
            ConnectionStatus::Disconnected,
        );
        assert_eq!(registry.get(handle), Err(error::ERR_CLOSING));
    }

    #[test]
    fn a_status_that_is_published_late_shows_on_no_handle() {
        let (words, registry) = registry();
        let handle = add(registry, "a");
        registry.remove(handle);
        registry.publish(handle, LoginStatus::LoggedIn, ConnectionStatus::Connected);
        assert_eq!(registry.get(handle), Err(error::ERR_NO_SUCH_CLIENT));
        assert_eq!(words.login_status(handle), 0);
        let next = add(registry, "b");
        assert_eq!(words.login_status(next), LoginStatus::LoggedOut as i32);
    }

    #[test]
    fn a_device_belongs_to_one_live_client() {
        let (_, registry) = registry();
        let handle = add(registry, "a");
        assert_eq!(
            registry.reserve(device("a"), None),
            Err(error::ERR_DEVICE_IN_USE)
        );
        registry.remove(handle);
        assert!(registry.reserve(device("a"), None).is_ok());
    }

    #[test]
    fn a_name_belongs_to_one_live_client_and_finds_it() {
        let (_, registry) = registry();
        let name = || Some("main".to_owned());
        let handle = registry.reserve(device("a"), name()).unwrap();
        assert_eq!(registry.find("main"), None, "it is not complete yet");
        registry.fill(handle, Arc::new("a"));
        assert_eq!(registry.find("main"), Some((handle, false)));
        assert_eq!(registry.find("other"), None);
        assert_eq!(
            registry.reserve(device("b"), name()),
            Err(error::ERR_NAME_IN_USE)
        );
        registry.begin_closing(handle);
        assert_eq!(registry.find("main"), Some((handle, true)));
        registry.remove(handle);
        assert_eq!(registry.find("main"), None);
        assert!(registry.reserve(device("b"), name()).is_ok());
    }

    #[test]
    fn a_child_starts_with_an_empty_registry_that_gives_no_handle_of_the_parents_again() {
        let (words, parents) = registry();
        let gone = add(parents, "gone");
        parents.remove(gone);
        let live = [add(parents, "a"), add(parents, "b")];
        assert_eq!(live[0].index(), gone.index());

        words.mark_forked();
        let childs = Registry::new(words);
        for handle in live {
            assert_eq!(childs.get(handle), Err(error::ERR_FORKED));
            assert_eq!(words.login_status(handle), 0);
        }
        assert_eq!(childs.get(gone), Err(error::ERR_NO_SUCH_CLIENT));
        let own = add(&childs, "a");
        assert_eq!(*childs.get(own).unwrap(), "a");
        assert!(!live.contains(&own) && own != gone);
    }

    #[test]
    fn the_client_after_the_last_is_refused() {
        let (_, registry) = registry();
        // The table is filled by hand: the check for equal devices makes 16,384 creates slow.
        lock(&registry.table)
            .slots
            .resize_with(MAX_CLIENTS, || None);
        assert_eq!(
            registry.reserve(device("one more"), None),
            Err(error::ERR_TOO_MANY_CLIENTS)
        );
    }
}
