//! The table in `docs/login-states.md` that says where each rule is tested: the tests it names
//! exist, and every test of a row over real sockets is in it.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rules, each with the names in its two cells.
fn rules() -> Vec<(String, [Vec<String>; 2])> {
    let document = fs::read_to_string(root().join("docs/login-states.md")).unwrap();
    let (_, section) = document
        .split_once("## Where each rule is tested\n")
        .unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    rows.skip(1)
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
            let [rule, pure, sockets] = cells[..] else {
                panic!("not three cells: {row}");
            };
            (rule.trim().to_owned(), [pure, sockets].map(names))
        })
        .collect()
}

/// The names of tests: a file and a function.
fn names(cell: &str) -> Vec<String> {
    let quoted = cell.split('`').skip(1).step_by(2);
    let names = quoted.filter(|text| text.contains("::"));
    names.map(str::to_owned).collect()
}

/// Whether the test's file is in `folder`, and the test in the file.
fn exists(folder: &str, name: &str) -> bool {
    let (file, function) = name.rsplit_once("::").unwrap();
    let path = root().join(folder).join(file).with_extension("rs");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.contains(&format!("#[test]\nfn {function}() {{"))
}

#[test]
fn every_test_that_the_document_names_exists_and_every_rule_has_one() {
    let rules = rules();
    assert!(rules.len() > 30, "only {} rules were found", rules.len());
    for (rule, [pure, sockets]) in rules {
        assert!(!pure.is_empty() || !sockets.is_empty(), "{rule}");
        for (folder, names) in [("src/session/tests", pure), ("tests", sockets)] {
            for name in names {
                assert!(exists(folder, &name), "{rule}: {folder} has no {name}");
            }
        }
    }
}

#[test]
fn every_test_of_a_row_over_real_sockets_stands_in_the_document() {
    let named: Vec<String> = rules()
        .into_iter()
        .flat_map(|(_, [_, sockets])| sockets)
        .collect();
    let files: Vec<PathBuf> = fs::read_dir(root().join("tests/rows"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let mut tests = 0;
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let file = path.file_stem().unwrap().to_str().unwrap();
        for rest in text.split("#[test]\nfn ").skip(1) {
            let (function, _) = rest.split_once('(').unwrap();
            let name = format!("rows/{file}::{function}");
            assert!(named.contains(&name), "{name} is not listed");
            tests += 1;
        }
    }
    assert!(tests > 40, "only {tests} tests were found");
}
