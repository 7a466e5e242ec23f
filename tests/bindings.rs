//! The bindings, each by its runtime's own means, against a real server: their suites, their types, and
//! the examples of their READMEs as printed. `bindings/run` does it; here are those whose runtimes
//! `make test` asks for.

#![allow(clippy::unwrap_used, reason = "tests")]

mod programs;
mod tim_server;

use programs::output_of;
use std::process::Command;
use tim_server::{laid_out, root};

fn passes(binding: &str, title: &str) {
    let run = root().join("bindings/run");
    let printed = output_of(Command::new(run).arg(laid_out()).arg(binding));
    println!("{printed}");
    assert!(
        printed.starts_with(&format!("{title}: pass (")),
        "{printed}"
    );
}

#[test]
fn cpp_passes_its_suite_also_under_sanitizers_and_its_example_logs_in() {
    passes("cpp", "C++");
}

#[test]
fn rust_tells_the_story_of_all_bindings_and_its_example_logs_in() {
    passes("rust", "Rust");
}

#[test]
fn python_passes_its_suite_and_strict_types_and_its_examples_log_in_with_the_wheel() {
    passes("python", "Python");
}

#[test]
fn node_passes_its_suite_and_types_and_its_example_logs_in() {
    passes("node", "Node.js");
}

#[test]
fn luajit_passes_its_suite_and_its_example_logs_in() {
    passes("luajit", "LuaJIT");
}
