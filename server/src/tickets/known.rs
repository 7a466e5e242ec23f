//! Recently accepted tickets in parsed form: a client presents the same one at each start until it
//! expires, and parsing it is the most expensive part of a login.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use tim_proto::user_sig::UserSig;

/// How many of one age are remembered; two ages are kept. Each takes about 200 bytes.
const ENTRIES: usize = 16_384;

/// Identifies a ticket, so that none is stored.
pub type Print = [u8; 32];

/// The cache. Whether a ticket is still accepted is decided each time.
#[derive(Default)]
pub struct Known {
    young: HashMap<Print, Arc<UserSig>>,
    old: HashMap<Print, Arc<UserSig>>,
}

/// The fingerprint of a ticket's text.
pub fn print(token: &str) -> Print {
    Sha256::digest(token).into()
}

impl Known {
    /// A recently added ticket.
    pub fn get(&mut self, print: &Print) -> Option<Arc<UserSig>> {
        if let Some(sig) = self.young.get(print) {
            return Some(sig.clone());
        }
        let sig = self.old.remove(print)?;
        self.add(*print, sig.clone());
        Some(sig)
    }

    /// Remembers a ticket that was found valid: invalid ones cannot push anything out.
    pub fn add(&mut self, print: Print, sig: Arc<UserSig>) {
        if self.young.len() >= ENTRIES {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(print, sig);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tim_proto::user_sig;

    fn sig(user_id: &str) -> (Print, Arc<UserSig>) {
        let key = "0123456789abcdef0123456789abcdef";
        let token = user_sig::make(key, 1_400_000_001, user_id, 1, 1, None).unwrap();
        (print(&token), Arc::new(user_sig::parse(&token).unwrap()))
    }

    #[test]
    fn a_ticket_is_known_by_its_text_as_long_as_it_is_among_the_last() {
        let mut known = Known::default();
        let (alice, sig_of_alice) = sig("alice");
        known.add(alice, sig_of_alice);
        assert_eq!(known.get(&alice).unwrap().user_id, "alice");
        let (bob, sig_of_bob) = sig("bob");
        assert!(known.get(&bob).is_none());
        for number in 0..ENTRIES as u64 * 2 {
            let mut print = Print::default();
            print[..8].copy_from_slice(&number.to_le_bytes());
            known.add(print, sig_of_bob.clone());
            assert!(known.young.len() + known.old.len() <= 2 * ENTRIES);
        }
        assert!(known.get(&alice).is_none());
    }

    #[test]
    fn a_ticket_that_is_shown_again_and_again_stays() {
        let mut known = Known::default();
        let (alice, sig) = sig("alice");
        known.add(alice, sig.clone());
        for number in 0..ENTRIES as u64 * 4 {
            let mut print = Print::default();
            print[..8].copy_from_slice(&number.to_le_bytes());
            known.add(print, sig.clone());
            if number % 1000 == 0 {
                assert!(known.get(&alice).is_some());
            }
        }
    }
}
