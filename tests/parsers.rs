//! Generators of bindings read `tim.h`: each gets every constant with its value and every function.

#![allow(clippy::unwrap_used, reason = "tests")]

mod programs;
mod tim_server;

use programs::output_of;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tim_server::{laid_out, root};

fn cc() -> String {
    std::env::var("CC").unwrap_or_else(|_| "cc".into())
}

fn include() -> PathBuf {
    root().join("include")
}

fn library() -> PathBuf {
    laid_out().join("lib/libtim.so")
}

fn script(name: &str) -> PathBuf {
    root().join("tests/parsers").join(name)
}

/// Where the Python parsers are; installs them once.
fn python_packages() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("parsers");
        output_of(Command::new(script("install")).arg(&place));
        place
    })
}

fn python(name: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", python_packages())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(script(name));
    command
}

/// The lines `NAME VALUE` of a text.
fn constants(text: &str) -> BTreeMap<String, i64> {
    text.lines()
        .filter(|line| line.starts_with("TIM_"))
        .map(|line| {
            let (name, value) = line.split_once(char::is_whitespace).unwrap();
            (name.to_owned(), value.trim().parse().unwrap())
        })
        .collect()
}

/// What the C compiler makes of every constant; `tests/abi.rs` holds this file to be true. What is a
/// macro, because `#if` reads it, no parser sees.
fn expected() -> BTreeMap<String, i64> {
    let layout = std::fs::read_to_string(root().join("abi/layout.txt")).unwrap();
    let mut constants = constants(&layout);
    constants.remove("TIM_ABI_VERSION").unwrap();
    constants
}

fn functions() -> BTreeSet<String> {
    let symbols = std::fs::read_to_string(root().join("abi/symbols.txt")).unwrap();
    let names = symbols.lines().filter(|line| line.starts_with("tim_"));
    names
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn pycparser_reads_every_constant_and_every_function() {
    let printed = output_of(python("with_pycparser.py").arg(cc()).arg(include()));
    assert_eq!(constants(&printed), expected());
    let declared: BTreeSet<String> = printed
        .lines()
        .filter_map(|line| line.strip_prefix("function "))
        .map(str::to_owned)
        .collect();
    assert_eq!(declared, functions());
}

#[test]
fn cffi_reads_every_constant_and_calls_the_library() {
    let mut command = python("with_cffi.py");
    let printed = output_of(command.arg(cc()).arg(include()).arg(library()));
    assert_eq!(constants(&printed), expected());
}

#[test]
fn luajit_reads_every_constant_and_calls_the_library() {
    let mut command = Command::new("luajit");
    command.arg(script("with_luajit.lua")).arg(cc());
    let printed = output_of(command.arg(include()).arg(library()));
    assert_eq!(constants(&printed), expected());
}

#[test]
fn swig_reads_every_constant_and_its_module_calls_the_library() {
    let directory = tempfile::tempdir().unwrap();
    let wrapper = directory.path().join("tim_wrap.c");
    output_of(
        Command::new("swig")
            .args(["-Wall", "-Werror", "-python", "-outdir"])
            .arg(directory.path())
            .arg("-o")
            .arg(&wrapper)
            .arg(format!("-I{}", include().display()))
            .arg(script("tim.i")),
    );
    let python_h = output_of(Command::new("python3").args([
        "-c",
        "import sysconfig; print(sysconfig.get_path('include'))",
    ]));
    let lib = laid_out().join("lib");
    output_of(
        Command::new(cc())
            .args(["-shared", "-fPIC", "-I"])
            .arg(include())
            .args(["-I", python_h.trim()])
            .arg(&wrapper)
            .arg("-o")
            .arg(directory.path().join("_tim_swig.so"))
            .arg("-L")
            .arg(&lib)
            .arg("-ltim")
            .arg(format!("-Wl,-rpath,{}", lib.display())),
    );
    let mut command = python("with_swig.py");
    let mut read = constants(&output_of(command.arg(directory.path())));
    // SWIG evaluates macros too.
    read.retain(|name, _| !name.starts_with("TIM_VERSION_") && name != "TIM_ABI_VERSION");
    assert_eq!(read, expected());
}

#[test]
fn bindgen_reads_every_constant_and_its_rust_calls_the_library() {
    let directory = tempfile::tempdir().unwrap();
    let bindings = bindgen::builder()
        .header(include().join("tim.h").display().to_string())
        .allowlist_item("(tim|TIM)_.*")
        .generate()
        .unwrap()
        .to_string();
    let mut source = bindings.clone();
    source.push_str("fn main() {\n");
    for name in expected().keys() {
        source.push_str(&format!("    println!(\"{name} {{}}\", {name} as i64);\n"));
    }
    source.push_str(
        "    let name = unsafe { std::ffi::CStr::from_ptr(tim_error_name(TIM_ERR_BANNED as i32)) };\n\
         \x20   assert_eq!(name, c\"TIM_ERR_BANNED\");\n}\n",
    );
    for function in functions() {
        assert!(bindings.contains(&format!("fn {function}(")), "{function}");
    }
    let file = directory.path().join("main.rs");
    std::fs::write(&file, source).unwrap();
    let (lib, program) = (laid_out().join("lib"), directory.path().join("main"));
    output_of(
        Command::new("rustc")
            .args(["--edition=2024", "-A", "warnings", "-l", "tim", "-L"])
            .arg(&lib)
            .arg(format!("-Clink-arg=-Wl,-rpath,{}", lib.display()))
            .arg(&file)
            .arg("-o")
            .arg(&program),
    );
    assert_eq!(
        constants(&output_of(&mut Command::new(program))),
        expected()
    );
}
