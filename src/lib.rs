//! libtim: sign-in for instant messaging.

pub mod error;
mod secret;
pub mod session;
pub use secret::Secret;
