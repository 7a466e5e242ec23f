//! A crash inside a callback is reported like any other: the signal of a fault reaches the app's
//! handler.

#![allow(clippy::unwrap_used, reason = "tests")]

mod c_program;
mod tim_server;

use c_program::{How, command, compile};
use std::process::{Command, Output};
use tim_server::{APP, laid_out};

/// Nobody listens on port 1.
const CLOSED_URL: &str = "http://127.0.0.1:1";

fn report(output: &Output) -> String {
    assert!(!output.status.success(), "it must crash");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn address_sanitizer_reports_a_fault_inside_a_callback() {
    let directory = tempfile::tempdir().unwrap();
    let program = compile("crash", How::Sanitized, directory.path());
    let output = command(&program, How::Sanitized)
        .env("TIM_TEST_CLOSED_URL", CLOSED_URL)
        .env("TIM_TEST_APP_ID", APP.to_string())
        .output()
        .unwrap();
    let report = report(&output);
    assert!(
        report.contains("AddressSanitizer") && report.contains("in crash "),
        "{}: {report}",
        output.status
    );
}

#[test]
fn the_faulthandler_of_python_reports_a_fault_inside_a_callback() {
    let script = r#"
import ctypes, sys, time
tim = ctypes.CDLL(sys.argv[1])
Result = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p)
tim.tim_logout.argtypes = [ctypes.c_uint64, Result, ctypes.c_void_p]
client = ctypes.c_uint64()
config = b'{"server_url": "' + sys.argv[2].encode() + b'", "sdk_app_id": 1}'
assert tim.tim_client_create(config, ctypes.byref(client), None, 0) == 0
def crash(code, message, user_data):
    ctypes.string_at(8)
callback = Result(crash)
assert tim.tim_logout(client, callback, None) == 0
time.sleep(60)
"#;
    let output = Command::new("python3")
        .args(["-X", "faulthandler", "-c", script])
        .arg(laid_out().join("lib/libtim.so"))
        .arg(CLOSED_URL)
        .output()
        .unwrap();
    let report = report(&output);
    assert!(
        report.contains("Segmentation fault") && report.contains("in crash"),
        "{}: {report}",
        output.status
    );
}
