//! What a compiled program relies on (docs/abi.md): `abi/layout.txt` holds the size of every type and
//! the value of every constant; `abi/baseline/` holds a frozen header and a program written against it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod programs;
mod tim_h;
mod tim_server;

use programs::output_of;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tim_h::without_comments;
use tim_server::{APP, TimServer, root, user_sig};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn compile(include: &Path, source: &Path, output: &Path) {
    let lib = tim_server::laid_out().join("lib");
    output_of(
        Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
            .args(["-std=c11", "-Wall", "-Werror", "-pthread", "-I"])
            .arg(include)
            .arg(source)
            .arg("-L")
            .arg(&lib)
            .arg("-ltim")
            .arg(format!("-Wl,-rpath,{}", lib.display()))
            .arg("-o")
            .arg(output),
    );
}

/// The words of a header that begin with `prefix` and stand where `is_one` says.
fn words<'a>(header: &'a str, prefix: &str) -> Vec<&'a str> {
    let mut words: Vec<&str> = header
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with(prefix))
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// What the C compiler says about every type and constant in the header.
fn layout_of(include: &Path) -> String {
    let header = without_comments(&std::fs::read_to_string(include.join("tim.h")).unwrap());
    let mut source = String::from(
        "#include <tim.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n",
    );
    let mut lines = header.lines();
    while let Some(line) = lines.find(|line| line.starts_with("typedef ")) {
        // A struct's name follows the word, a callback's is in parentheses, any other type's at the end.
        let last_word = |line: &str| {
            let word = line.trim_end_matches(';').rsplit([' ', '*']).next();
            word.unwrap().to_owned()
        };
        let name = match (line.strip_prefix("typedef struct "), line.split_once("(*")) {
            (Some(rest), _) => rest.trim_end_matches(" {").to_owned(),
            (_, Some((_, rest))) => rest.split(')').next().unwrap().to_owned(),
            _ => last_word(line),
        };
        writeln!(source, "printf(\"sizeof {name} %zu\\n\", sizeof({name}));").unwrap();
        if line.ends_with('{') {
            let fields = lines.by_ref().take_while(|line| !line.starts_with('}'));
            for field in fields.filter(|line| line.ends_with(';')).map(last_word) {
                let offset = format!("offsetof({name}, {field})");
                writeln!(
                    source,
                    "printf(\"offset {name}.{field} %zu\\n\", {offset});"
                )
                .unwrap();
            }
        }
    }
    let not_numbers = [
        "TIM_API",
        "TIM_H",
        "TIM_STATIC",
        "TIM_VERSION",
        "TIM_NODISCARD",
        "TIM_DEPRECATED",
    ];
    for name in words(&header, "TIM_") {
        if !not_numbers
            .iter()
            .any(|prefix| name == *prefix || name.starts_with(&format!("{prefix}_")))
        {
            writeln!(source, "printf(\"{name} %lld\\n\", (long long)({name}));").unwrap();
        }
    }
    source.push_str("return 0; }\n");
    let directory = tempfile::tempdir().unwrap();
    let (file, program) = (
        directory.path().join("layout.c"),
        directory.path().join("layout"),
    );
    std::fs::write(&file, source).unwrap();
    compile(include, &file, &program);
    let printed = output_of(&mut Command::new(program));
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    lines.join("\n") + "\n"
}

#[test]
fn sizes_and_constants_are_those_of_the_layout_file() {
    let layout = layout_of(&root().join("include"));
    assert!(
        layout == read("abi/layout.txt"),
        "abi/layout.txt should be, if the change is meant and breaks no program:\n{layout}"
    );
}

#[test]
fn no_size_no_constant_and_no_function_of_the_baseline_has_changed() {
    let today = layout_of(&root().join("include"));
    let baseline = layout_of(&root().join("abi/baseline"));
    // It grows at the end: programs say how much of it they know.
    let grows = |line: &&str| line.starts_with("sizeof tim_event ");
    for line in baseline.lines().filter(|line| !grows(line)) {
        assert!(
            today.lines().any(|today| today == line),
            "changed or gone: {line}"
        );
    }
    let symbols = read("abi/symbols.txt");
    for line in read("abi/baseline/symbols.txt").lines() {
        assert!(symbols.lines().any(|today| today == line), "gone: {line}");
    }
}

/// Compiles the interface alone for abidiff: a library with debug information that defines every
/// function of a header, and one more per field of a struct, which returns that field's type.
///
/// The library itself will not do. Its debug information describes Rust's types instead of the header's,
/// in a way that may change with the compiler.
fn interface_of(include: &Path, fields: &str, output: &Path) {
    let header = without_comments(&std::fs::read_to_string(include.join("tim.h")).unwrap());
    let functions = header.split(';').filter_map(|declaration| {
        let (_, function) = declaration.rsplit_once("TIM_API")?;
        (function.contains('(') && !function.contains('{')).then_some(function.to_owned())
    });
    let fields = fields.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("offset ")?.rsplit_once(' ')?;
        let (of, field) = name.split_once('.')?;
        Some(format!(
            "__typeof__((({of} *)0)->{field}) {of}_{field}(void)"
        ))
    });
    let mut source = String::from("#include <tim.h>\n");
    for function in functions.chain(fields) {
        writeln!(source, "{function} {{ __builtin_trap(); }}").unwrap();
    }
    let file = output.with_extension("c");
    std::fs::write(&file, source).unwrap();
    output_of(
        Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
            .args(["-std=gnu11", "-g", "-shared", "-fPIC", "-I"])
            .arg(include)
            .arg(file)
            .arg("-o")
            .arg(output),
    );
}

#[test]
fn no_function_no_callback_and_no_field_of_the_baseline_has_another_type() {
    let directory = tempfile::tempdir().unwrap();
    let baseline = root().join("abi/baseline");
    let fields = layout_of(&baseline);
    let (frozen, today) = (
        directory.path().join("frozen.so"),
        directory.path().join("today.so"),
    );
    interface_of(&baseline, &fields, &frozen);
    interface_of(&root().join("include"), &fields, &today);
    output_of(
        Command::new("abidiff")
            .args(["--no-added-syms", "--suppressions"])
            .arg(root().join("abi/abidiff.ini"))
            .args([frozen, today]),
    );
}

#[test]
fn a_program_of_the_baseline_runs_with_todays_library() {
    let server = TimServer::start();
    let directory = tempfile::tempdir().unwrap();
    let program: PathBuf = directory.path().join("program");
    let baseline = root().join("abi/baseline");
    compile(&baseline, &baseline.join("program.c"), &program);
    let output = Command::new(program)
        .args([&server.url, &APP.to_string(), &user_sig("alice")])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "logged in as alice\nlogged out\npolled to the end\n"
    );
}
