//! The C ABI: `extern "C"` functions that check and convert arguments, call the safe core and map
//! the result. Their documentation becomes that of `include/tim.h`, so it is written for C
//! programmers.
//!
//! Every function's body runs inside [`boundary::guard`], which turns a panic into an error code.

#![allow(
    non_camel_case_types,
    reason = "the names of C types are those of the header"
)]

mod boundary;
mod callbacks;
mod client;
mod error;
mod log;
mod login;
mod poll;
mod status;
mod version;
