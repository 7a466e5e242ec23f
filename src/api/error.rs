//! The error of the Rust API.

use crate::error;
use std::borrow::Cow;
use std::fmt;

/// A call that was rejected or has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: i32,
    message: Cow<'static, str>,
}

impl Error {
    pub(super) fn new(code: i32, message: impl Into<Cow<'static, str>>) -> Error {
        Error {
            code,
            message: message.into(),
        }
    }

    /// With the code's own message.
    pub(super) fn of(code: i32) -> Error {
        Error::new(code, text(error::message(code)))
    }

    /// The number: one of the constants in [`crate::error`].
    pub fn code(&self) -> i32 {
        self.code
    }

    /// The code's name in `include/tim.h`, such as `TIM_ERR_CONNECT_REFUSED`.
    pub fn name(&self) -> &'static str {
        text(error::name_of(self.code))
    }

    /// Whether the same call may succeed later, unchanged.
    pub fn is_retryable(&self) -> bool {
        error::is_retryable(self.code)
    }
}

/// A text of the table, which is UTF-8.
fn text(of_table: &'static std::ffi::CStr) -> &'static str {
    of_table.to_str().unwrap_or_default()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.message, self.name(), self.code)
    }
}

impl std::error::Error for Error {}
