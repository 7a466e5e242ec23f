//! Compiles and runs a program of `ctests/` against what `make lib` laid out, or for another system:
//! `platforms/test` names the TIM_TEST_TARGET, its compiler (TIM_TEST_CC), what runs its programs here
//! (TIM_TEST_RUN) and what they need besides libtim.a (TIM_TEST_STATIC). The server is this machine's.

#![allow(dead_code, reason = "each test program uses its part")]

use super::tim_server::{
    self, APP, OTHER_KEY, TimServer, root, user_sig, user_sig_by, user_sig_for,
};
use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What static linking needs besides the library.
const STATIC_LIBRARIES: &str = "-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc";

/// What programs for Windows need besides the library; they bring the threads of mingw along.
const WINDOWS_LIBRARIES: &[&str] = &["-static", "-lws2_32", "-lpsapi"];

/// How a program is built and run.
#[derive(Clone, Copy, PartialEq)]
pub enum How {
    Shared,
    Static,
    Sanitized,
    Memcheck,
}

/// Whether programs are compiled for Windows.
fn for_windows() -> bool {
    std::env::var("TIM_TEST_TARGET").is_ok_and(|target| target.contains("-windows-"))
}

/// The program, compiled into this folder.
pub fn compile(program: &str, how: How, into: &Path) -> PathBuf {
    let build = tim_server::laid_out();
    let lib = build.join("lib");
    let output = into.join(if for_windows() {
        format!("{program}.exe")
    } else {
        program.to_owned()
    });
    let compiler = std::env::var_os("TIM_TEST_CC").or_else(|| std::env::var_os("CC"));
    let mut cc = Command::new(compiler.unwrap_or_else(|| "cc".into()));
    cc.args([
        "-std=c11",
        "-g",
        "-O1",
        "-pthread",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
    ])
    .arg("-I")
    .arg(build.join("include"))
    .arg(root().join("ctests").join(program).with_extension("c"))
    .arg("-o")
    .arg(&output);
    // unload.c opens the library itself.
    let is_linked = program != "unload";
    match how {
        How::Static => {
            let libraries = std::env::var("TIM_TEST_STATIC");
            let libraries = libraries.as_deref().unwrap_or(STATIC_LIBRARIES);
            cc.arg("-DTIM_STATIC")
                .arg(lib.join("libtim.a"))
                .args(libraries.split_whitespace());
        }
        _ if for_windows() => {
            if is_linked {
                cc.arg(lib.join("libtim.dll.a"));
            }
        }
        _ => {
            let mut rpath = OsString::from("-Wl,-rpath,");
            rpath.push(&lib);
            if is_linked {
                cc.arg("-L").arg(&lib).arg("-ltim").arg(rpath);
            }
            cc.arg("-ldl");
        }
    }
    if for_windows() {
        cc.args(WINDOWS_LIBRARIES);
    }
    if how == How::Sanitized {
        cc.args([
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
            "-fno-omit-frame-pointer",
        ]);
    }
    assert_passed(&format!("compiling {program}"), &cc.output().unwrap());
    output
}

/// What runs a compiled program.
pub fn command(program: &Path, how: How) -> Command {
    if how != How::Memcheck {
        let runner = std::env::var("TIM_TEST_RUN").unwrap_or_default();
        let mut words = runner.split_whitespace();
        let Some(runner) = words.next() else {
            return Command::new(program);
        };
        let mut command = Command::new(runner);
        command.args(words).arg(program);
        return command;
    }
    let mut valgrind = Command::new("valgrind");
    valgrind
        .env("TIM_TEST_MEMCHECK", "1")
        .env("TIM_FORKS", "5")
        .args(["--quiet", "--leak-check=full", "--show-leak-kinds=definite"])
        .args(["--errors-for-leak-kinds=definite", "--error-exitcode=99"])
        .arg(program);
    valgrind
}

/// Compiles a program and runs it against its own server.
pub fn run(program: &str, how: How) {
    let directory = tempfile::tempdir().unwrap();
    let path = compile(program, how, directory.path());
    // Some log in thousands of times as the same user.
    let server = TimServer::configured("limits.requests_per_user = 0");
    // The system accepts connections for a listener that never looks at them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = command(&path, how);
    // Under memcheck everything takes longer, including a login before its ticket expires.
    let short_s = if how == How::Memcheck { 8 } else { 3 };
    command
        .env("TIM_TEST_SERVER_URL", &server.url)
        .env(
            "TIM_TEST_SILENT_URL",
            format!("http://{}", silent.local_addr().unwrap()),
        )
        // Nobody listens on port 1.
        .env("TIM_TEST_CLOSED_URL", "http://127.0.0.1:1")
        .env("TIM_TEST_APP_ID", APP.to_string())
        .env("TIM_TEST_SIG_ALICE", user_sig("alice"))
        .env("TIM_TEST_SIG_BOB", user_sig("bob"))
        .env("TIM_TEST_SIG_CAROL", user_sig("carol"))
        .env("TIM_TEST_SIG_CAROL_SHORT", user_sig_for("carol", short_s))
        .env("TIM_TEST_SIG_ALICE_EXPIRED", user_sig_for("alice", -1))
        .env(
            "TIM_TEST_SIG_ALICE_OTHER_KEY",
            user_sig_by(OTHER_KEY, APP, "alice", 86_400),
        )
        .env("TIM_TEST_VERSION", env!("CARGO_PKG_VERSION"))
        .env(
            "TIM_TEST_LIBRARY",
            tim_server::laid_out().join(if for_windows() {
                "bin/tim.dll"
            } else {
                "lib/libtim.so"
            }),
        );
    assert_passed(program, &command.output().unwrap());
}

/// Fails with the program's output.
pub fn assert_passed(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
