//! The programs of `ctests/`, each compiled against the header and the library that `make lib` laid
//! out: plain, linked statically, under AddressSanitizer and UBSan, and under valgrind's memcheck.

#![allow(clippy::unwrap_used, reason = "tests")]

mod tim_server;

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tim_server::{APP, OTHER_KEY, TimServer, root, user_sig, user_sig_by, user_sig_for};

/// What static linking needs besides the library.
const STATIC_LIBRARIES: &[&str] = &[
    "-lgcc_s",
    "-lutil",
    "-lrt",
    "-lpthread",
    "-lm",
    "-ldl",
    "-lc",
];

#[derive(Clone, Copy, PartialEq)]
enum How {
    Shared,
    Static,
    Sanitized,
    Memcheck,
}

fn compile(program: &str, how: How, into: &Path) -> PathBuf {
    let build = tim_server::laid_out();
    let lib = build.join("lib");
    let output = into.join(program);
    let mut cc = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
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
    match how {
        How::Static => {
            cc.arg("-DTIM_STATIC")
                .arg(lib.join("libtim.a"))
                .args(STATIC_LIBRARIES);
        }
        _ => {
            let mut rpath = OsString::from("-Wl,-rpath,");
            rpath.push(&lib);
            // unload.c opens the library by itself.
            if program != "unload" {
                cc.arg("-L").arg(&lib).arg("-ltim").arg(rpath);
            }
        }
    }
    if how == How::Sanitized {
        cc.args([
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
            "-fno-omit-frame-pointer",
        ]);
    }
    cc.arg("-ldl");
    assert_passed(&format!("compiling {program}"), &cc.output().unwrap());
    output
}

fn run(program: &str, how: How) {
    let directory = tempfile::tempdir().unwrap();
    let path = compile(program, how, directory.path());
    let server = TimServer::start();
    // The system takes connections for a listener that never looks at them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = match how {
        How::Memcheck => {
            let mut valgrind = Command::new("valgrind");
            valgrind
                .env("TIM_TEST_MEMCHECK", "1")
                .env("TIM_FORKS", "5")
                .args(["--quiet", "--leak-check=full", "--show-leak-kinds=definite"])
                .args(["--errors-for-leak-kinds=definite", "--error-exitcode=99"])
                .arg(path);
            valgrind
        }
        _ => Command::new(path),
    };
    // Under memcheck everything takes longer, a login within the ticket's time too.
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
            tim_server::laid_out().join("lib/libtim.so"),
        );
    assert_passed(program, &command.output().unwrap());
}

fn assert_passed(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One test a program, in each way.
macro_rules! programs {
    ($($program:ident)*) => {
        mod shared { $(#[test] fn $program() { super::run(stringify!($program), super::How::Shared); })* }
        mod sanitized { $(#[test] fn $program() { super::run(stringify!($program), super::How::Sanitized); })* }
        mod memcheck { $(#[test] fn $program() { super::run(stringify!($program), super::How::Memcheck); })* }

        #[test]
        fn every_program_of_the_folder_is_run() {
            let mut files: Vec<_> = std::fs::read_dir(root().join("ctests")).unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
                .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
                .collect();
            files.sort_unstable();
            assert_eq!(files, [$(stringify!($program)),*]);
        }
    };
}

programs! {
    callbacks client descriptors error fork forks kick log login misuse renew signals sleep status threads
    unload version
}

#[test]
fn every_function_is_misused_and_called_on_all_threads() {
    let symbols = std::fs::read_to_string(root().join("abi/symbols.txt")).unwrap();
    // What takes no client has no handle to be misused with.
    let without_client = ["tim_error_", "tim_version"];
    for function in symbols.lines().filter_map(|line| line.split(' ').next()) {
        if function.starts_with('#') {
            continue;
        }
        for (program, skipped) in [("misuse", &without_client[..]), ("threads", &[])] {
            let text = |name: &str| std::fs::read_to_string(root().join("ctests").join(name));
            let program = format!("{program}.c");
            let source = text(&program).unwrap() + &text("check.h").unwrap();
            let skip = skipped.iter().any(|prefix| function.starts_with(prefix));
            let called = source.contains(&format!("{function}("));
            assert!(skip || called, "{program} never calls {function}");
        }
    }
}

mod linked_statically {
    #[test]
    fn version() {
        super::run("version", super::How::Static);
    }

    #[test]
    fn login() {
        super::run("login", super::How::Static);
    }
}
