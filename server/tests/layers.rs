//! The server's modules depend on each other in one direction: there is no cycle among them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Which modules each top-level module of the crate names.
type Uses = BTreeMap<String, BTreeSet<String>>;

fn add_uses(file: &Path, module: &str, uses: &mut Uses) {
    let text = std::fs::read_to_string(file).unwrap();
    let code = text.lines().map(|line| line.split("//").next().unwrap());
    for line in code {
        for rest in line.split("crate::").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            let used = &rest[..end.unwrap_or(rest.len())];
            if !used.is_empty() && used != module {
                let of_module = uses.entry(module.to_owned()).or_default();
                of_module.insert(used.to_owned());
            }
        }
    }
}

fn walk(folder: &Path, module: Option<&str>, uses: &mut Uses) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let module = module.unwrap_or(&name);
        if path.is_dir() {
            walk(&path, Some(module), uses);
        } else if !matches!(module, "lib" | "main") {
            add_uses(&path, module, uses);
        }
    }
}

/// A path from `module` back to itself, if there is one.
fn circle(uses: &Uses, module: &str) -> Option<Vec<String>> {
    let (mut ways, mut seen) = (vec![vec![module.to_owned()]], BTreeSet::new());
    while let Some(way) = ways.pop() {
        for next in uses.get(way.last().unwrap()).into_iter().flatten() {
            let mut longer = way.clone();
            longer.push(next.clone());
            if next == module {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                ways.push(longer);
            }
        }
    }
    None
}

#[test]
fn no_module_builds_on_itself_by_way_of_others() {
    let mut uses = Uses::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    walk(&sources, None, &mut uses);
    assert!(uses["http"].contains("routes"), "the sources are not read");
    let circles: Vec<_> = uses.keys().filter_map(|m| circle(&uses, m)).collect();
    assert!(circles.is_empty(), "{circles:#?}");
}
