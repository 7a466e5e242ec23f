//! The programs of `ctests/`, each compiled against the header and the library that `make lib` laid
//! out: plain, linked statically, under AddressSanitizer and UBSan, and under valgrind's memcheck.

#![allow(clippy::unwrap_used, reason = "tests")]

mod c_program;
mod tim_server;

use tim_server::root;

/// One test per program, in each way.
macro_rules! programs {
    ($($program:ident)*) => {
        mod shared { $(#[test] fn $program() { crate::c_program::run(stringify!($program), crate::c_program::How::Shared); })* }
        mod sanitized { $(#[test] fn $program() { crate::c_program::run(stringify!($program), crate::c_program::How::Sanitized); })* }
        mod memcheck { $(#[test] fn $program() { crate::c_program::run(stringify!($program), crate::c_program::How::Memcheck); })* }

        #[test]
        fn every_program_of_the_folder_is_run() {
            let mut files: Vec<_> = std::fs::read_dir(root().join("ctests")).unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
                // These have drivers of their own.
                .filter(|path| !["crash.c", "cycles.c", "ends.c", "torture.c"].iter().any(|own| path.ends_with(own)))
                .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
                .collect();
            files.sort_unstable();
            assert_eq!(files, [$(stringify!($program)),*]);
        }
    };
}

programs! {
    callbacks client descriptors error fork forks kick log login misuse poll renew signals sleep status threads
    unload version
}

#[test]
fn every_function_is_misused_and_called_on_all_threads() {
    let symbols = std::fs::read_to_string(root().join("abi/symbols.txt")).unwrap();
    // Programs that take no client have no handle to misuse.
    let without_client = [
        "tim_error_",
        "tim_version",
        "tim_client_find",
        "tim_poll_log",
    ];
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

/// Programs that inspect the whole process, which other tools disturb.
mod alone {
    use crate::c_program::{How, run};

    #[test]
    fn a_thousand_logins_keep_nothing() {
        run("cycles", How::Shared);
    }

    #[test]
    fn exit_fork_and_exhaustion_in_every_state() {
        run("ends", How::Shared);
    }
}

mod linked_statically {
    #[test]
    fn version() {
        crate::c_program::run("version", crate::c_program::How::Static);
    }

    #[test]
    fn login() {
        crate::c_program::run("login", crate::c_program::How::Static);
    }
}
