//! Writes `include/tim.h` and `docs/errors.md`, and gives the shared library its name and its linker
//! flags.
//!
//! The header is the manual `include/tim.h.in` with its marks filled in: the version from
//! Cargo.toml, the codes from the table in `src/error.rs`, and one section per file of `src/ffi`,
//! headed by that file's `//!` lines. Both outputs are made in OUT_DIR and copied only where they
//! differ, so that an up-to-date or read-only source tree stays as it is.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

#[allow(dead_code, reason = "the build needs the table alone")]
#[path = "src/error.rs"]
mod error;

/// The number in the library's name. It changes when a program that was linked with an older library would
/// break, and at no other time.
const ABI_VERSION: u32 = 0;

/// The sections of the header in order: files of `src/ffi`.
const SECTIONS: &[&str] = &[
    "version",
    "error",
    "client",
    "login",
    "status",
    "callbacks",
    "poll",
    "log",
];

/// Files of `src/ffi` that declare nothing for C.
const NOT_SECTIONS: &[&str] = &["boundary"];

fn main() -> Result<(), Box<dyn Error>> {
    for input in [
        "build.rs",
        "cbindgen.toml",
        "include/tim.h.in",
        "src/ffi",
        "src/error.rs",
    ] {
        println!("cargo::rerun-if-changed={input}");
    }
    link_arguments();
    write_out("tim.h", "include/tim.h", &header()?)?;
    write_out("errors.md", "docs/errors.md", &errors_page()?)
}

/// The name by which programs load the library carries the ABI's number, except on Android, which
/// packs no other name than `lib*.so` into an app. With nodelete, dlclose does not unmap code that the
/// library's own threads may still run; elsewhere `os::stay_loaded` sees to that.
fn link_arguments() {
    let of_target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}"));
    let arguments = match (of_target("OS").as_deref(), of_target("VENDOR").as_deref()) {
        (Ok("linux"), _) => vec![
            format!("-soname,libtim.so.{ABI_VERSION}"),
            "-z,nodelete".to_owned(),
        ],
        (Ok("android"), _) => vec![
            "-soname,libtim.so".to_owned(),
            "-z,nodelete".to_owned(),
            // Devices with pages of 16 KiB load nothing else.
            "-z,max-page-size=16384".to_owned(),
        ],
        (_, Ok("apple")) => vec![
            format!("-install_name,@rpath/libtim.{ABI_VERSION}.dylib"),
            format!("-compatibility_version,{ABI_VERSION}.0.0"),
            format!("-current_version,{}", env!("CARGO_PKG_VERSION")),
        ],
        _ => vec![],
    };
    for argument in arguments {
        println!("cargo::rustc-cdylib-link-arg=-Wl,{argument}");
    }
}

/// Writes `text` into OUT_DIR, and into the source tree if it differs there and can be written.
fn write_out(name: &str, place: &str, text: &str) -> Result<(), Box<dyn Error>> {
    fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join(name), text)?;
    if fs::read_to_string(place).ok().as_deref() != Some(text)
        && let Err(e) = fs::write(place, text)
    {
        println!("cargo::warning={place} is out of date and cannot be written: {e}");
    }
    Ok(())
}

fn header() -> Result<String, Box<dyn Error>> {
    let part = |name: &str| std::env::var(format!("CARGO_PKG_VERSION_{name}"));
    let sections = sections()?;
    let marks = [
        ("@VERSION@", std::env::var("CARGO_PKG_VERSION")?),
        ("@VERSION_MAJOR@", part("MAJOR")?),
        ("@VERSION_MINOR@", part("MINOR")?),
        ("@VERSION_PATCH@", part("PATCH")?),
        ("@ABI_VERSION@", ABI_VERSION.to_string()),
        ("@CODES@\n", codes()?),
        ("@SECTIONS@\n", sections),
    ];
    let mut header = fs::read_to_string("include/tim.h.in")?;
    for (mark, text) in marks {
        if !header.contains(mark) {
            return Err(format!("include/tim.h.in has no {}", mark.trim()).into());
        }
        header = header.replace(mark, &text);
    }
    Ok(header)
}

/// The codes as one anonymous enum, each under its message.
fn codes() -> Result<String, Box<dyn Error>> {
    let mut out = String::from("enum {\n");
    for row in error::TABLE {
        let (name, message) = (row.name.to_str()?, row.message.to_str()?);
        let again = if row.retryable { " (retryable)" } else { "" };
        writeln!(
            out,
            "    /** {message}{again} */\n    {name} = {},",
            row.code
        )?;
    }
    out.push_str("};\n");
    Ok(out)
}

/// Every section: its banner and its declarations.
fn sections() -> Result<String, Box<dyn Error>> {
    for entry in fs::read_dir("src/ffi")? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if !SECTIONS.contains(&&*stem) && !NOT_SECTIONS.contains(&&*stem) {
            return Err(format!("{} is in no section: see SECTIONS", path.display()).into());
        }
    }
    let mut out = String::new();
    for stem in SECTIONS {
        let path = Path::new("src/ffi").join(stem).with_extension("rs");
        let title = title(&fs::read_to_string(&path)?);
        let rule = "-".repeat(92);
        write!(out, "\n/* {rule}\n * {title}\n * {rule} */\n")?;
        out.push_str(&declarations(&path)?);
    }
    Ok(out)
}

/// The text of a file's `//!` lines.
fn title(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<_> = lines.map(str::trim).collect();
    lines.join("\n * ").trim_end_matches('.').to_owned()
}

/// What one file declares for C.
fn declarations(path: &Path) -> Result<String, Box<dyn Error>> {
    let bindings = cbindgen::Builder::new()
        .with_config(cbindgen::Config::from_file("cbindgen.toml")?)
        .with_src(path)
        .generate()?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    let mut text = String::from_utf8(text)?;
    let source = fs::read_to_string(path)?;
    for name in source
        .lines()
        .filter_map(|line| line.strip_prefix("pub enum ")?.strip_suffix(" {"))
    {
        let (head, tail) = (format!("typedef enum {name} {{"), format!("}} {name};"));
        if !text.contains(&head) {
            return Err(format!("{name} is missing from `include` in cbindgen.toml").into());
        }
        text = text.replace(&head, "enum {").replace(&tail, "};");
    }
    // C++ and C23 want [[nodiscard]] before anything else.
    for gap in ["\n", " "] {
        let (found, wanted) = (
            format!("TIM_API{gap}TIM_NODISCARD{gap}"),
            format!("TIM_NODISCARD TIM_API{gap}"),
        );
        text = text.replace(&found, &wanted);
    }
    Ok(text)
}

/// The page of codes in `docs`.
fn errors_page() -> Result<String, Box<dyn Error>> {
    let mut page = String::from(
        "# Codes\n\n\
         Generated by build.rs from the table in `src/error.rs`. Numbers are never reused.\n\
         Retryable: the same call may succeed later, unchanged (`tim_error_is_retryable`).\n\n\
         | code | name | meaning | retryable |\n|---:|---|---|---|\n",
    );
    for row in error::TABLE {
        let (name, message) = (row.name.to_str()?, row.message.to_str()?);
        let again = if row.retryable { "yes" } else { "" };
        writeln!(page, "| {} | `{name}` | {message} | {again} |", row.code)?;
    }
    Ok(page)
}
