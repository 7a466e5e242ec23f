//! What `make install` and `make dist` make: programs find it by pkg-config and CMake, also after the
//! prefix was moved, and an archive of the same build is always the same.

#![allow(clippy::unwrap_used, reason = "tests")]

mod programs;
mod tim_server;

use programs::output_of;
use std::path::{Path, PathBuf};
use std::process::Command;
use tim_server::{laid_out, root};

const VERSION: &str = env!("CARGO_PKG_VERSION");

const PROGRAM_IN_C: &str = r#"
#include <stdio.h>
#include <tim.h>
int main(void) {
    tim_client client;
    if (tim_client_create("{\"server_url\": \"http://127.0.0.1:1\", \"sdk_app_id\": 1}", &client, NULL, 0) != TIM_OK) return 1;
    puts(tim_version());
    return tim_client_destroy(client, 60000);
}
"#;

const PROGRAM_IN_CPP: &str = r#"
#include <cstdio>
#include <tim.hpp>
int main() {
    tim::client client("{\"server_url\": \"http://127.0.0.1:1\", \"sdk_app_id\": 1}");
    std::puts(tim_version());
}
"#;

const CMAKE_PROJECT: &str = r#"
cmake_minimum_required(VERSION 3.13)
project(programs C CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(tim 0.1 REQUIRED)
find_package(tim 0.1.99 QUIET)
if(tim_FOUND)
  message(FATAL_ERROR "tim ${tim_VERSION} passes for a later version")
endif()
find_package(tim 1 QUIET)
if(tim_FOUND)
  message(FATAL_ERROR "tim ${tim_VERSION} passes for another major version")
endif()
foreach(language c cpp)
  add_executable(${language}_shared program.${language})
  target_link_libraries(${language}_shared tim::tim)
  add_executable(${language}_static program.${language})
  target_link_libraries(${language}_static tim::static)
endforeach()
"#;

/// Installs into a staging folder and moves the prefix away from where it was installed.
fn moved_prefix(directory: &Path) -> PathBuf {
    let installed = directory.join("staging/usr/local");
    output_of(
        Command::new(root().join("packaging/install"))
            .arg(laid_out())
            .arg(&installed),
    );
    let moved = directory.join("moved");
    std::fs::rename(installed, &moved).unwrap();
    moved
}

fn write_programs(directory: &Path) {
    std::fs::write(directory.join("program.c"), PROGRAM_IN_C).unwrap();
    std::fs::write(directory.join("program.cpp"), PROGRAM_IN_CPP).unwrap();
}

/// The libraries that a program names.
fn needed_by(program: &Path) -> String {
    output_of(Command::new("readelf").arg("-dW").arg(program))
}

/// Every file below a folder, by its path from there.
fn files_of(folder: &Path) -> Vec<String> {
    let listed = output_of(
        Command::new("find")
            .args([".", "!", "-type", "d"])
            .current_dir(folder),
    );
    let mut files: Vec<_> = listed.lines().map(str::to_owned).collect();
    files.sort_unstable();
    files
}

#[test]
fn make_installs_below_destdir_and_prefix_and_packs_below_build() {
    for (arguments, recipe) in [
        (
            &["install", "DESTDIR=/staging", "PREFIX=/usr"][..],
            "packaging/install build \"/staging/usr\"",
        ),
        (&["dist"], "packaging/dist build build/dist"),
    ] {
        let recipes = output_of(
            // As a user calls it, even if make has called this test.
            Command::new("make")
                .env_remove("MAKEFLAGS")
                .env_remove("MAKELEVEL")
                .arg("--dry-run")
                .args(arguments)
                .current_dir(root()),
        );
        assert_eq!(recipes.lines().last().unwrap(), recipe);
    }
}

#[test]
fn a_moved_prefix_is_found_by_pkg_config() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = moved_prefix(directory.path());
    write_programs(directory.path());
    let pkg_config = |arguments: &[&str]| {
        let printed = output_of(
            Command::new("pkg-config")
                .args(arguments)
                .arg("tim")
                .env("PKG_CONFIG_LIBDIR", prefix.join("lib/pkgconfig")),
        );
        printed.trim_end().to_owned()
    };
    assert_eq!(pkg_config(&["--modversion"]), VERSION);
    let flags = pkg_config(&["--cflags", "--libs"]);
    let rpath = format!("-Wl,-rpath,{}", pkg_config(&["--variable=libdir"]));
    for (compiler, standard, source) in [
        ("cc", "-std=c11", "program.c"),
        ("c++", "-std=c++17", "program.cpp"),
    ] {
        output_of(
            Command::new(compiler)
                .args(["-Wall", "-Werror", "-pthread", standard, source])
                .args(flags.split_whitespace())
                .args([&rpath, "-o", "program"])
                .current_dir(&directory),
        );
        let program = directory.path().join("program");
        assert!(needed_by(&program).contains("[libtim.so.0]"));
        assert_eq!(
            output_of(&mut Command::new(program)),
            format!("{VERSION}\n")
        );
    }
}

#[test]
fn a_moved_prefix_is_found_by_cmake_with_the_shared_and_the_static_library() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = moved_prefix(directory.path());
    write_programs(directory.path());
    std::fs::write(directory.path().join("CMakeLists.txt"), CMAKE_PROJECT).unwrap();
    output_of(
        Command::new("cmake")
            .args(["-S", ".", "-B", "out"])
            .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()))
            .current_dir(&directory),
    );
    output_of(
        Command::new("cmake")
            .args(["--build", "out"])
            .current_dir(&directory),
    );
    for (program, shared) in [
        ("c_shared", true),
        ("cpp_shared", true),
        ("c_static", false),
        ("cpp_static", false),
    ] {
        let program = directory.path().join("out").join(program);
        let needed = needed_by(&program);
        assert_eq!(needed.contains("[libtim.so.0]"), shared, "{program:?}");
        assert_eq!(
            output_of(&mut Command::new(program)),
            format!("{VERSION}\n")
        );
    }
}

/// Packs the build and returns the archive.
fn dist(into: &Path, date: &str, umask: &str) -> PathBuf {
    let script = root().join("packaging/dist");
    let printed = output_of(
        Command::new("sh")
            .args(["-c", "umask \"$1\"; exec \"$2\" \"$3\" \"$4\"", "sh", umask])
            .arg(script)
            .arg(laid_out())
            .arg(into)
            .env("SOURCE_DATE_EPOCH", date),
    );
    PathBuf::from(printed.trim_end())
}

#[test]
fn an_archive_of_the_same_build_and_date_is_the_same_whoever_packs_it() {
    let directory = tempfile::tempdir().unwrap();
    let into = |name: &str| directory.path().join(name);
    let one = dist(&into("one"), "1700000000", "022");
    let two = dist(&into("two"), "1700000000", "077");
    let later = dist(&into("later"), "1700000001", "022");
    let bytes = |archive: &Path| std::fs::read(archive).unwrap();
    assert!(bytes(&one) == bytes(&two), "one build, two archives");
    assert!(bytes(&one) != bytes(&later), "the date is not in it");
}

#[test]
fn an_archive_unpacks_to_what_is_installed_with_the_licences_and_a_readme() {
    let directory = tempfile::tempdir().unwrap();
    let archive = dist(directory.path(), "1700000000", "022");
    output_of(
        Command::new("tar")
            .arg("-xzf")
            .arg(&archive)
            .current_dir(&directory),
    );
    let name = archive.file_name().unwrap().to_str().unwrap();
    let name = name.strip_suffix(".tar.gz").unwrap();
    assert!(name.starts_with(&format!("libtim-{VERSION}-")), "{name}");
    let unpacked = directory.path().join(name);
    let mut expected = files_of(&moved_prefix(directory.path()));
    expected.extend(["./LICENSE-APACHE", "./LICENSE-MIT", "./README.md"].map(str::to_owned));
    expected.sort_unstable();
    assert_eq!(files_of(&unpacked), expected);
    for file in [
        "bin/tim-server",
        "include/tim.h",
        "include/tim.hpp",
        "lib/cmake/tim/timConfig.cmake",
        "lib/cmake/tim/timConfigVersion.cmake",
        "lib/libtim.a",
        "lib/libtim.so",
        "lib/libtim.so.0",
        "lib/pkgconfig/tim.pc",
    ] {
        assert!(expected.contains(&format!("./{file}")), "{file} is missing");
    }
    let server = Command::new(unpacked.join("bin/tim-server"))
        .arg("--help")
        .output()
        .unwrap();
    assert!(server.status.success());
}
