//! `tim.h` is valid C and C++, alone and with others, names what the library exports, and the
//! library's file is what `make lib` promises.

#![allow(clippy::unwrap_used, reason = "tests")]

mod tim_h;
mod tim_server;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};
use tim_h::without_comments;
use tim_server::root;

fn header() -> String {
    std::fs::read_to_string(root().join("include/tim.h")).unwrap()
}

/// The compilers to try: the one that builds the tests, and clang.
fn compilers() -> [String; 2] {
    let cc = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    [cc, "clang".into()]
}

fn compile_with(compiler: &str, arguments: &[&str], source: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("source");
    std::fs::write(&file, source).unwrap();
    Command::new(compiler)
        .args(arguments)
        .args(["-Wall", "-Wextra", "-Wpedantic", "-c", "-I"])
        .arg(root().join("include"))
        .arg(&file)
        .arg("-o")
        .arg(directory.path().join("object.o"))
        .output()
        .unwrap_or_else(|error| panic!("{compiler}: {error}"))
}

/// Compiles a source without a warning.
fn compile(source: &str, language: &str, standard: &str) {
    for compiler in compilers() {
        let standard = format!("-std={standard}");
        let arguments = ["-x", language, &standard, "-Werror"];
        let output = compile_with(&compiler, &arguments, source);
        assert!(
            output.status.success(),
            "{compiler} {language} {standard}:\n{source}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// C23 goes by its draft's name, which older compilers know.
const STANDARDS_OF_C: [&str; 4] = ["c99", "c11", "c17", "c2x"];
const STANDARDS_OF_CPP: [&str; 3] = ["c++11", "c++17", "c++20"];

#[test]
fn it_compiles_alone_and_twice_in_every_standard_of_c_and_cpp() {
    for (language, standards) in [("c", &STANDARDS_OF_C[..]), ("c++", &STANDARDS_OF_CPP)] {
        for standard in standards {
            let main = "int main(void) { return (int)tim_version_number(); }\n";
            for includes in [
                "#include <tim.h>\n",
                "#include <tim.h>\n#include <tim.h>\n",
                "#define TIM_STATIC\n#include <tim.h>\n",
            ] {
                compile(&format!("{includes}{main}"), language, standard);
            }
        }
    }
}

#[test]
fn it_compiles_together_with_headers_of_cpp_and_of_the_system() {
    let main = "int main() { tim_client client = 0; return tim_get_login_status(client); }\n";
    for standard in STANDARDS_OF_CPP {
        let cpp = "#include <string>\n#include <functional>\n#include <thread>\n#include <tim.h>\n#include <vector>\n#include <cstdint>\n";
        compile(&format!("{cpp}{main}"), "c++", standard);
    }
    let system = "#include <tim.h>\n#include <sys/socket.h>\n#include <signal.h>\n#include <time.h>\n#include <errno.h>\n";
    let main = main.replace("main()", "main(void)");
    for standard in STANDARDS_OF_C {
        compile(&format!("{system}{main}"), "c", standard);
    }
}

#[test]
fn a_result_that_must_not_be_ignored_is_warned_about_where_the_language_can() {
    let ignored =
        "#include <tim.h>\nvoid f(tim_client *out) { tim_client_create(\"{}\", out, NULL, 0); }\n";
    for compiler in compilers() {
        for (language, standard) in [("c", "c2x"), ("c++", "c++17")] {
            let arguments = ["-x", language, &format!("-std={standard}")];
            let warnings = compile_with(&compiler, &arguments, ignored).stderr;
            let warnings = String::from_utf8(warnings).unwrap();
            assert!(
                warnings.contains("nodiscard"),
                "{compiler} {standard}: {warnings}"
            );
        }
        let off = format!("#define TIM_NODISCARD\n{ignored}");
        let output = compile_with(&compiler, &["-x", "c++", "-std=c++17", "-Werror"], &off);
        assert!(output.status.success(), "{compiler}");
    }
}

#[test]
fn its_versions_are_cargos() {
    let header = header();
    let version = env!("CARGO_PKG_VERSION");
    let mut parts = version.split('.');
    for name in ["MAJOR", "MINOR", "PATCH"] {
        let line = format!("#define TIM_VERSION_{name} {}\n", parts.next().unwrap());
        assert!(header.contains(&line), "{line}");
    }
    assert!(header.contains(&format!("#define TIM_VERSION_STRING \"{version}\"\n")));
    assert_eq!(tim::version::TEXT.to_str().unwrap(), version);
}

#[test]
fn every_code_of_the_table_has_its_name_and_its_number() {
    let header = header();
    let documented = std::fs::read_to_string(root().join("docs/errors.md")).unwrap();
    for entry in tim::error::TABLE {
        let name = entry.name.to_str().unwrap();
        assert!(
            header.contains(&format!("    {name} = {},\n", entry.code)),
            "{name}"
        );
        assert!(
            documented.contains(&format!("`{name}`")),
            "{name} in docs/errors.md"
        );
    }
}

/// The functions that the header declares.
fn declared() -> BTreeSet<String> {
    let header = header();
    let code = without_comments(&header);
    code.split(';')
        .filter(|declaration| declaration.contains("TIM_API"))
        .filter_map(|declaration| {
            let (before, _) = declaration.rsplit_once("TIM_API")?.1.split_once('(')?;
            Some(before.rsplit([' ', '*', '\n']).next()?.to_owned())
        })
        .filter(|name| name.starts_with("tim_"))
        .collect()
}

/// The lines of `abi/symbols.txt`: a name, and the version that brought it.
fn listed() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("abi/symbols.txt")).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn what_it_declares_is_listed_with_the_version_that_brought_it() {
    assert_eq!(declared(), listed());
}

#[test]
fn the_library_exports_what_is_listed_and_nothing_else() {
    let output = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=posix"])
        .arg(shared_library())
        .output()
        .unwrap();
    let exported: BTreeSet<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect();
    assert_eq!(exported, listed());
}

fn shared_library() -> PathBuf {
    tim_server::laid_out().join("lib/libtim.so")
}

#[test]
fn the_library_has_its_soname_stays_loaded_and_needs_the_system_alone() {
    let output = Command::new("readelf")
        .arg("-dW")
        .arg(shared_library())
        .output()
        .unwrap();
    let dynamic = String::from_utf8(output.stdout).unwrap();
    assert!(
        dynamic.contains("Library soname: [libtim.so.0]"),
        "{dynamic}"
    );
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    for line in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        let known = ["libc.so", "libgcc_s.so", "ld-linux", "libm.so"];
        assert!(known.iter().any(|name| line.contains(name)), "{line}");
    }
}

#[test]
fn the_library_is_small_and_names_no_folder_of_the_machine_that_built_it() {
    let bytes = std::fs::read(shared_library()).unwrap();
    assert!(bytes.len() <= 2_000_000, "{} bytes", bytes.len());
    let home = std::env::var("HOME").unwrap();
    let folders = [
        root().to_str().unwrap().to_owned(),
        format!("{home}/.cargo"),
        format!("{home}/.rustup"),
    ];
    for folder in folders {
        let found = bytes
            .windows(folder.len())
            .any(|window| window == folder.as_bytes());
        assert!(!found, "{folder} is in the library");
    }
}
