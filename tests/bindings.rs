//! The bindings, each by its runtime's own means, against a real server: their suites, their types, and
//! the examples of their READMEs as printed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod tim_server;

use std::path::{Path, PathBuf};
use std::process::Command;
use tim_server::{APP, TimServer, binary, laid_out, root, user_sig};

fn bindings(name: &str) -> PathBuf {
    root().join("bindings").join(name)
}

fn library() -> PathBuf {
    laid_out().join("lib/libtim.so")
}

/// A folder of this build for what the tests install.
fn installed(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Runs a program that must succeed. Returns its output.
fn output_of(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The nth block of that language in a binding's README.
fn example(binding: &str, language: &str, nth: usize) -> String {
    let readme = std::fs::read_to_string(bindings(binding).join("README.md")).unwrap();
    let start = format!("```{language}\n");
    let block = readme.split(&start).nth(nth + 1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// Copies a folder, without what tools leave in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    output_of(Command::new("cp").args(["-r", "-T"]).arg(from).arg(to));
}

/// What an example's arguments are: the server, the app, alice's ticket.
fn arguments(server: &TimServer) -> [String; 3] {
    [server.url.clone(), APP.to_string(), user_sig("alice")]
}

// C++.

#[test]
fn cpp_passes_its_suite_also_under_sanitizers() {
    let directory = tempfile::tempdir().unwrap();
    for (compiler, options) in [
        ("c++", &["-std=c++17"][..]),
        ("c++", &["-std=c++20", "-fsanitize=address,undefined"]),
        ("clang++", &["-std=c++17"]),
    ] {
        let program = directory.path().join("test");
        compile(
            compiler,
            options,
            &bindings("cpp").join("test.cpp"),
            &program,
        );
        let (server, folder) = (TimServer::start(), tempfile::tempdir().unwrap());
        let key = folder.path().join("key");
        std::fs::write(&key, tim_server::KEY).unwrap();
        let ticket = format!(
            "{} usersig --sdk-app-id {APP} --secret-key-file {}",
            binary().display(),
            key.display()
        );
        let printed = output_of(
            Command::new(&program)
                .env("TIM_TEST_SERVER_URL", &server.url)
                .env("TIM_TEST_APP_ID", APP.to_string())
                .env("TIM_TEST_TICKET", ticket),
        );
        assert!(printed.starts_with("C++: pass ("), "{printed}");
    }
}

fn compile(compiler: &str, options: &[&str], source: &Path, program: &Path) {
    let lib = laid_out().join("lib");
    output_of(
        Command::new(compiler)
            .args(options)
            .args([
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
                "-pthread",
                "-I",
            ])
            .arg(root().join("include"))
            .arg(source)
            .arg("-o")
            .arg(program)
            .arg("-L")
            .arg(&lib)
            .arg("-ltim")
            .arg(format!("-Wl,-rpath,{}", lib.display())),
    );
}

#[test]
fn the_example_in_cpp_logs_in() {
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (
        directory.path().join("alice.cpp"),
        directory.path().join("alice"),
    );
    std::fs::write(&source, example("cpp", "cpp", 0)).unwrap();
    compile("c++", &["-std=c++17"], &source, &program);
    let server = TimServer::start();
    let config = format!(
        "{{\"server_url\": \"{}\", \"sdk_app_id\": {APP}}}",
        server.url
    );
    let printed = output_of(Command::new(program).arg(config).arg(user_sig("alice")));
    assert_eq!(printed, "alice: success\n");
}

// Python.

/// Where pytest and mypy are.
fn python_tools() -> PathBuf {
    let place = installed("python-tools");
    if !place.join("mypy").exists() || !place.join("pytest").exists() {
        output_of(
            Command::new("python3")
                .env("PIP_ROOT_USER_ACTION", "ignore")
                .args(["-m", "pip", "install", "--quiet", "--upgrade"])
                .args(["--disable-pip-version-check", "--target"])
                .arg(&place)
                .args(["pytest", "mypy"]),
        );
    }
    place
}

#[test]
fn python_passes_its_suite_and_strict_types() {
    let (tools, directory) = (python_tools(), tempfile::tempdir().unwrap());
    copy(&bindings("python"), directory.path());
    let python = |module: &str| {
        let mut command = Command::new("python3");
        command
            .current_dir(&directory)
            .env("PYTHONPATH", format!("src:tests:{}", tools.display()))
            .env("MYPYPATH", "src:tests")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TIM_LIB", library())
            .env("TIM_SERVER", binary())
            .args(["-m", module]);
        command
    };
    let printed = output_of(python("pytest").arg("-q"));
    println!("Python: {}", printed.lines().last().unwrap());
    output_of(&mut python("mypy"));
}

#[test]
fn the_examples_in_python_log_in_with_the_wheel() {
    let directory = tempfile::tempdir().unwrap();
    output_of(
        Command::new(bindings("python").join("build-wheel"))
            .arg(laid_out())
            .arg(directory.path()),
    );
    let wheel = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .unwrap();
    let packages = directory.path().join("packages");
    output_of(
        Command::new("python3")
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .args(["-m", "pip", "install", "--quiet", "--no-deps"])
            .args(["--disable-pip-version-check", "--target"])
            .arg(&packages)
            .arg(wheel),
    );
    let server = TimServer::start();
    for (nth, expected) in [(0, "alice: logged in\n"), (1, "ConnectionChanged(")] {
        let file = directory.path().join("alice.py");
        std::fs::write(&file, example("python", "python", nth)).unwrap();
        let printed = output_of(
            Command::new("python3")
                .env("PYTHONPATH", &packages)
                .env_remove("TIM_LIB")
                .arg(&file)
                .args(arguments(&server)),
        );
        assert!(printed.starts_with(expected), "{printed}");
    }
}

// Node.js.

/// A copy of the package with what it depends on.
fn node_package() -> PathBuf {
    let place = installed("node");
    copy(&bindings("node"), &place);
    if !place.join("node_modules/koffi").exists() {
        output_of(Command::new("npm").current_dir(&place).args([
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
        ]));
    }
    place
}

#[test]
fn node_passes_its_suite_types_and_example() {
    let package = node_package();
    let node = || {
        let mut command = Command::new("node");
        command
            .current_dir(&package)
            .env("TIM_LIB", library())
            .env("TIM_SERVER", binary());
        command
    };
    output_of(node().args(["--test", "test/client.test.js"]));
    output_of(
        Command::new("npm")
            .current_dir(&package)
            .args(["run", "--silent", "types"]),
    );
    let server = TimServer::start();
    let source = example("node", "js", 0).replace("'timlogin'", "'./index.js'");
    std::fs::write(package.join("alice.js"), source).unwrap();
    let printed = output_of(node().arg("alice.js").args(arguments(&server)));
    assert_eq!(printed, "alice: logged in\n");
}

// LuaJIT.

#[test]
fn luajit_passes_its_suite_and_example() {
    let lua = |file: &Path| {
        let mut command = Command::new("luajit");
        command
            .env("TIM_LIB", library())
            .env("LUA_PATH", bindings("lua").join("?.lua"))
            .arg(file);
        command
    };
    let printed = output_of(lua(&bindings("lua").join("test.lua")).arg(binary()));
    assert!(printed.starts_with("LuaJIT: pass ("), "{printed}");
    let directory = tempfile::tempdir().unwrap();
    let (server, file) = (TimServer::start(), directory.path().join("alice.lua"));
    std::fs::write(&file, example("lua", "lua", 0)).unwrap();
    let printed = output_of(lua(&file).args(arguments(&server)));
    assert_eq!(printed, "alice: logged in\n");
}
