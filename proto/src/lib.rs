//! What libtim and tim-server share, without any I/O: messages on the wire, codes, platforms,
//! the rules for identities and, behind the feature `user-sig`, tickets.

#![forbid(unsafe_code)]

pub mod bounds;
pub mod code;
pub mod edges;
pub mod identity;
mod platform;
#[cfg(feature = "user-sig")]
pub mod user_sig;
pub mod wire;

pub use platform::Platform;
