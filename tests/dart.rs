//! The Dart package, as far as it can be checked without Dart: its syntax, its signatures, struct and
//! numbers against `tim.h`, its imports and its lines.

#![allow(clippy::unwrap_used, reason = "tests")]

mod tim_h;
mod tim_server;

use std::path::PathBuf;
use tim_h::without_comments;
use tim_server::root;

fn package() -> PathBuf {
    root().join("bindings/dart")
}

/// Every Dart file of the package, with its name.
fn sources() -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for folder in ["lib", "lib/src", "example"] {
        for entry in std::fs::read_dir(package().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "dart")
            {
                let name = path.strip_prefix(package()).unwrap().display().to_string();
                sources.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let readme = std::fs::read_to_string(package().join("README.md")).unwrap();
    let (_, example) = readme.split_once("```dart\n").unwrap();
    sources.push((
        "README.md".to_owned(),
        example.split("```").next().unwrap().to_owned(),
    ));
    sources
}

fn source(name: &str) -> String {
    std::fs::read_to_string(package().join(name)).unwrap()
}

/// The header without comments, its white space made one.
fn header() -> String {
    let header = std::fs::read_to_string(root().join("include/tim.h")).unwrap();
    without_comments(&header)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The types of a function of the header, the result first.
fn c_types(header: &str, function: &str) -> Vec<String> {
    let (before, after) = header
        .split_once(&format!("{function}("))
        .unwrap_or_else(|| panic!("tim.h has no {function}"));
    let result = before.rsplit("TIM_API ").next().unwrap().trim();
    let parameters = after.split(')').next().unwrap();
    let mut types = vec![result.to_owned()];
    for parameter in parameters.split(", ").filter(|p| *p != "void") {
        let end = parameter.rfind([' ', '*']).unwrap() + 1;
        types.push(parameter[..end].trim().to_owned());
    }
    types
}

/// How dart:ffi spells a type of C, in native and in Dart signatures.
fn dart_types(c: &str) -> (&'static str, &'static str) {
    match c {
        "int32_t" => ("Int32", "int"),
        "tim_client" | "uint64_t" => ("Uint64", "int"),
        "size_t" => ("Size", "int"),
        "const char *" | "char *" => ("Pointer<Utf8>", "Pointer<Utf8>"),
        "void *" | "tim_result_callback" => ("Pointer<Void>", "Pointer<Void>"),
        "tim_client *" => ("Pointer<Uint64>", "Pointer<Uint64>"),
        "size_t *" => ("Pointer<Size>", "Pointer<Size>"),
        "struct tim_event *" => ("Pointer<EventStruct>", "Pointer<EventStruct>"),
        "tim_wakeup_callback" => (
            "Pointer<NativeFunction<Wakeup>>",
            "Pointer<NativeFunction<Wakeup>>",
        ),
        other => panic!("no type of Dart for {other}"),
    }
}

#[test]
fn every_file_is_dart() {
    let mut parser = tree_sitter::Parser::new();
    parser
        .set_language(&tree_sitter_dart::LANGUAGE.into())
        .unwrap();
    for (name, text) in sources() {
        let tree = parser.parse(&text, None).unwrap();
        assert!(
            !tree.root_node().has_error(),
            "{name}: {}",
            tree.root_node().to_sexp()
        );
        let broken = text.replacen('{', "", 1);
        if broken != text {
            let tree = parser.parse(broken, None).unwrap();
            assert!(tree.root_node().has_error(), "{name}: a fault goes unseen");
        }
    }
}

#[test]
fn every_signature_is_the_headers() {
    let (header, library) = (header(), source("lib/src/library.dart"));
    let squeezed: String = library.split_whitespace().collect();
    let mut count = 0;
    for lookup in squeezed.split("_library.lookupFunction<").skip(1) {
        let (types, rest) = lookup.split_once(">('").unwrap();
        let function = rest.split('\'').next().unwrap();
        let c = c_types(&header, function);
        let signature = |of: fn(&str) -> &'static str| {
            let parameters: Vec<_> = c[1..].iter().map(|c| of(c)).collect();
            format!("{}Function({})", of(&c[0]), parameters.join(","))
        };
        let native = signature(|c| dart_types(c).0);
        let dart = signature(|c| dart_types(c).1);
        assert_eq!(types, format!("{native},{dart}"), "{function}");
        count += 1;
    }
    assert_eq!(count, library.matches("'tim_").count());
    assert!(squeezed.contains("typedefWakeup=VoidFunction(Pointer<Void>);"));
}

#[test]
fn the_structs_fields_are_the_headers() {
    let header = header();
    let (_, body) = header.split_once("typedef struct tim_event { ").unwrap();
    let fields = body.split('}').next().unwrap();
    let mut expected = Vec::new();
    for field in fields.split(';').map(str::trim).filter(|f| !f.is_empty()) {
        let end = field.rfind([' ', '*']).unwrap() + 1;
        let (c, name) = (field[..end].trim(), &field[end..]);
        let mut words = name.split('_');
        let mut dart = words.next().unwrap().to_owned();
        for word in words {
            dart.push_str(&word[..1].to_uppercase());
            dart.push_str(&word[1..]);
        }
        expected.push(match c {
            "uint32_t" => format!("@Uint32()externalint{dart};"),
            "int32_t" => format!("@Int32()externalint{dart};"),
            "uint64_t" => format!("@Uint64()externalint{dart};"),
            "int64_t" => format!("@Int64()externalint{dart};"),
            pointer => format!("external{}{dart};", dart_types(pointer).0),
        });
    }
    let library: String = source("lib/src/library.dart").split_whitespace().collect();
    let (_, body) = library
        .split_once("finalclassEventStructextendsStruct{")
        .unwrap();
    assert_eq!(body.split('}').next().unwrap(), expected.concat());
}

#[test]
fn every_number_is_the_headers() {
    let layout = std::fs::read_to_string(root().join("abi/layout.txt")).unwrap();
    let constants = source("lib/src/constants.dart");
    let mut count = 0;
    for line in constants.lines().filter(|line| line.contains("const int")) {
        let (constant, name) = line.split_once("; // ").unwrap();
        let value = constant.rsplit(' ').next().unwrap();
        let wanted = format!("{name} {value}");
        assert!(layout.lines().any(|l| l == wanted), "{line}");
        count += 1;
    }
    assert!(count > 10);
}

#[test]
fn imports_are_the_languages_and_lines_are_short() {
    let allowed = [
        "dart:async",
        "dart:convert",
        "dart:ffi",
        "dart:io",
        "package:ffi/ffi.dart",
    ];
    for (name, text) in sources() {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
            assert!(
                !line.ends_with(' ') && !line.contains('\t'),
                "{name}: {line}"
            );
            let indent = line.len() - line.trim_start().len();
            assert!(indent % 2 == 0, "{name}: {line}");
            if let Some(rest) = line.strip_prefix("import '") {
                let uri = rest.split('\'').next().unwrap();
                let own = !uri.contains(':') || uri.starts_with("package:timlogin/");
                assert!(own || allowed.contains(&uri), "{name}: {line}");
            }
        }
    }
}
