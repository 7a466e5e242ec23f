//! What `docs/platforms.md` promises of each target is what `platforms/` tests.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_page_lists_every_target_and_how_far_it_is_tested() {
    let targets = text("platforms/targets");
    let tested: Vec<(&str, &str)> = targets
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    let page = text("docs/platforms.md");
    let promised: Vec<(&str, &str)> = page
        .lines()
        .skip_while(|line| !line.starts_with("| target |"))
        .skip(2)
        .map_while(|line| {
            line.strip_prefix("| `")?
                .strip_suffix(" |")?
                .split_once("` | ")
        })
        .collect();
    assert_eq!(promised, tested);
    assert!(!tested.is_empty());
}
