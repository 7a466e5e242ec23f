//! Parts of a state, shared between neighbouring states until one changes them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A part and its fingerprint. Two parts with equal fingerprints count as equal.
#[derive(Clone)]
pub struct Kept<T>(Arc<(u64, T)>);

impl<T: Clone + Hash> Kept<T> {
    /// Keeps this.
    pub fn new(part: T) -> Kept<T> {
        Kept(Arc::new((fingerprint(&part), part)))
    }

    /// Changes it; other holders keep it as it was.
    pub fn edit<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let (known, part) = Arc::make_mut(&mut self.0);
        let result = change(part);
        *known = fingerprint(part);
        result
    }
}

/// Equal for equal parts, in every run.
fn fingerprint(part: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    part.hash(&mut hasher);
    hasher.finish()
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.1
    }
}

impl<T> Hash for Kept<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.0);
    }
}

impl<T> PartialEq for Kept<T> {
    fn eq(&self, other: &Kept<T>) -> bool {
        self.0.0 == other.0.0
    }
}

impl<T> Eq for Kept<T> {}
