//! An operator with only docs/server.md and docs/admin.md runs one node, moves to three, rotates a
//! key, bans a user, reads the figures and loses a node. The commands, requests and settings are
//! those that the pages print; addresses, folders and the app's id are the test's.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::engine::database;
use process::page::Shell;
use process::{Server, now_s, resume};
use serde_json::{Value, json};
use tim_proto::user_sig;

const SERVER: &str = include_str!("../../docs/server.md");
const ADMIN: &str = include_str!("../../docs/admin.md");
/// Where the page puts the nodes' settings.
const SETTINGS: &str = "etc/tim-server.toml";
const RELOADED: &str = "settings reloaded";

/// The one node that the page begins with.
fn one_node() -> (Shell, Server) {
    let shell = Shell::new(SERVER);
    let node = shell.start(&shell.block("sh", 0), "");
    (shell, node)
}

/// Alice's ticket, by the command that the page prints.
fn printed_ticket(shell: &Shell) -> String {
    let made = shell.run_as_it_is(&shell.block_with("sh", "--data-dir ./tim-server-data"));
    made.trim_end().to_owned()
}

/// Three nodes over one engine, following the page from one node to many. The single node ends.
fn three_nodes(mut one: Server, shell: &mut Shell) -> [Server; 3] {
    let moving = shell.block_with("sh", "cat tim-server-data/sdk_app_id");
    let app = shell.run_as_it_is(&moving);
    one.signal("TERM");
    assert!(one.wait().success());

    for (printed, here) in [
        ("0.0.0.0:7700", "127.0.0.1:0"),
        ("127.0.0.1:7702", "127.0.0.1:0"),
        ("\"7701\"", "\"0\""),
        ("redis://10.0.0.5:6379", &database()),
        ("1400000001", app.trim()),
    ] {
        shell.stands_for(printed, here);
    }
    let settings = shell.block_with("toml", "store = ");
    shell.write(SETTINGS, &shell.here(&settings));
    shell.run_as_it_is(&shell.block_with("sh", "export export.jsonl"));
    let command = shell.block_with("sh", "serve --config /etc/tim-server/tim-server.toml");
    [(); 3].map(|()| shell.start(&command, ""))
}

/// A node with an administrator, by the page about administering.
fn administered() -> (Shell, Server) {
    let shell = Shell::new(ADMIN);
    shell.write("admin.toml", &shell.block_with("toml", "admin_listen"));
    let node = shell.start(
        "build/bin/tim-server serve --config admin.toml",
        "--admin-listen 127.0.0.1:0",
    );
    (shell, node)
}

/// The answer to a printed line, after the lines that it needs.
fn output(shell: &Shell, node: &Server, setup: &str, line: &str) -> Value {
    let ticket_line = shell.block_with("sh", "ADMIN=");
    let output = shell.run(node, &format!("{ticket_line}{setup}\n{line}"));
    serde_json::from_str(&output).unwrap_or_else(|_| panic!("{line}: {output}"))
}

/// A login of alice's with this ticket.
fn with_ticket(shell: &Shell, number: u64, ticket: &str) -> Value {
    let mut login = shell.login("alice", number);
    login["user_sig"] = ticket.into();
    login
}

#[test]
fn one_node_runs_and_accepts_a_ticket_of_the_printed_command() {
    let (shell, node) = one_node();
    let ticket = printed_ticket(&shell);
    let (_stream, _) = node.log_in(&with_ticket(&shell, 1, &ticket));
}

#[test]
fn one_node_becomes_three_and_its_sessions_go_on() {
    let (mut shell, one) = one_node();
    let ticket = printed_ticket(&shell);
    let (_stream, session) = one.log_in(&with_ticket(&shell, 1, &ticket));
    let nodes = three_nodes(one, &mut shell);
    let (mut stream, again) = nodes[1].log_in_by(&resume(&session, 1, 1, 3));
    assert_eq!(again["epoch"], session["epoch"]);

    // It is one system: every node knows the session, and another device takes it over.
    let (_moved, same) = nodes[2].log_in_by(&resume(&again, 1, 1, 4));
    assert_eq!(same["epoch"], again["epoch"]);
    assert_eq!(stream.event(), None, "its client has another stream");
    let mut elsewhere = with_ticket(&shell, 5, &ticket);
    (elsewhere["device_id"], elsewhere["instance"]) = ("tablet".into(), "f".repeat(32).into());
    let (_tablet, _) = nodes[0].log_in(&elsewhere);
    let displaced = nodes[1].refusal("/v1/resume", &resume(&same, 1, 1, 6));
    assert_eq!(displaced, (403, 6208));
}

/// The line of the operator's page that starts with this, with the earlier lines that it needs.
fn admin_line(begin: &str) -> String {
    let page = Shell::new(ADMIN);
    let ticket = page.block_with("sh", "ADMIN=");
    let block = page.block_with("sh", &format!("\n{begin}"));
    let is_request = |line: &&str| line.starts_with("own ") || line.starts_with("v4 ");
    let setup: Vec<&str> = block.lines().filter(|line| !is_request(line)).collect();
    let found = block.lines().find(|line| line.starts_with(begin));
    format!("{ticket}{}\n{}", setup.join("\n"), found.unwrap())
}

#[test]
fn the_operators_lines_do_the_same_at_many_nodes() {
    let (mut shell, one) = one_node();
    let nodes = three_nodes(one, &mut shell);
    let run = |begin: &str| {
        let output = shell.run(&nodes[0], &admin_line(begin));
        serde_json::from_str::<Value>(&output).unwrap()
    };
    assert_eq!(
        run("own -X PUT")["code"],
        0,
        "also before there is an account"
    );
    let banned = nodes[1].refusal("/v1/login", &shell.login("alice", 1));
    assert_eq!(banned, (403, 70051));
    assert_eq!(run("own -X DELETE")["code"], 0);

    let key = std::fs::read_to_string(shell.path().join("etc/key")).unwrap();
    let mut login = shell.login("alice", 2);
    let app = u32::try_from(login["sdk_app_id"].as_u64().unwrap()).unwrap();
    let old = user_sig::make(key.trim_end(), app, "alice", now_s() - 10, 3600, None).unwrap();
    login["user_sig"] = old.into();
    assert_eq!(run("v4 im_open_login_svc/account_import")["ErrorCode"], 0);
    assert_eq!(run("v4 im_open_login_svc/kick")["ErrorCode"], 0);
    assert_eq!(nodes[2].refusal("/v1/login", &login), (401, 70052));
    let account = &run("own http")["account"];
    assert_eq!(account["nick"], "Alice");
}

#[test]
fn a_key_is_rotated_on_three_nodes_and_no_good_ticket_is_refused() {
    let (mut shell, one) = one_node();
    let old = printed_ticket(&shell);
    let nodes = three_nodes(one, &mut shell);
    let (_stream, session) = nodes[0].log_in(&with_ticket(&shell, 1, &old));

    shell.run_as_it_is(&shell.block_with("sh", "/dev/urandom"));
    let settings = shell.here(&shell.block_with("toml", "store = "));
    let rest = settings
        .lines()
        .filter(|line| !line.starts_with("secret_key_file"));
    let rest: Vec<&str> = rest.collect();
    let both = shell.here(&shell.block_with("toml", "old_secret_key_files"));
    let reload = |keys: &str| {
        shell.write(SETTINGS, &format!("{}\n{keys}", rest.join("\n")));
        for node in &nodes {
            node.signal("HUP");
            node.logged(RELOADED);
        }
    };
    reload(&both);
    let new =
        shell.run_as_it_is(&shell.block_with("sh", "--secret-key-file /etc/tim-server/key-2"));
    let new = new.trim_end();
    for (number, node) in (2..).step_by(2).zip(&nodes) {
        node.log_in(&with_ticket(&shell, number, &old));
        node.log_in(&with_ticket(&shell, number + 1, new));
    }

    let new_alone: Vec<&str> = both.lines().filter(|line| !line.contains("old_")).collect();
    reload(&new_alone.join("\n"));
    for (number, node) in (20..).zip(&nodes) {
        let late = with_ticket(&shell, number, &old);
        assert_eq!(node.refusal("/v1/login", &late), (401, 70009));
        node.log_in(&with_ticket(&shell, number, new));
    }
    // An old session whose login was replaced since is recognized: its token verifies.
    let replaced = nodes[1].refusal("/v1/resume", &resume(&session, 1, 1, 40));
    assert_eq!(replaced.1, 70402, "late, and not unknown");
}

#[test]
fn a_user_is_banned_and_let_in_again_by_the_printed_lines() {
    let (shell, node) = administered();
    let lines = shell.block_with("sh", "own()");
    let (function, lines) = lines.split_once('\n').unwrap();
    let (mut alice, mut is_banned, mut done) = (None, false, 0);
    for (number, line) in (1..).zip(lines.lines()) {
        if alice.is_none() && !is_banned {
            let mut login = shell.login("alice", number);
            login["device_id"] = "device 1".into();
            alice = Some(node.log_in(&login).0);
        }
        let output = output(&shell, &node, function, line);
        if line.contains("-X ") {
            assert_eq!(output, json!({"code": 0}), "{line}");
            done += 1;
        } else {
            assert!(output.get("message").is_none(), "{line}: {output}");
        }
        let ends = [("sign_out", "kicked"), ("-X PUT", "session_ended")];
        if let Some((_, event)) = ends.iter().find(|(part, _)| line.contains(part)) {
            assert_eq!(alice.take().unwrap().event().unwrap().0, *event, "{line}");
        }
        is_banned = line.contains("-X PUT");
        if is_banned {
            let refused = node.refusal("/v1/login", &shell.login("alice", 500));
            assert_eq!(refused, (403, 70051));
        }
    }
    assert_eq!(done, 3, "signed out, banned, let in again");
    node.log_in(&shell.login("alice", 1000));
}

#[test]
fn the_printed_requests_of_the_reference_system_succeed() {
    let (shell, node) = administered();
    let lines = shell.block_with("sh", "v4()");
    let (setup, requests): (Vec<&str>, Vec<&str>) =
        lines.lines().partition(|line| !line.starts_with("v4 "));
    assert_eq!(requests.len(), 8);
    for line in requests {
        let output = output(&shell, &node, &setup.join("\n"), line);
        assert_eq!(output["ActionStatus"], "OK", "{line}: {output}");
    }
}

#[test]
fn a_store_is_backed_up_while_it_runs_and_restored_by_the_printed_lines() {
    let (shell, mut node) = one_node();
    let ticket = printed_ticket(&shell);
    let (_stream, session) = node.log_in(&with_ticket(&shell, 1, &ticket));
    shell.run_as_it_is(&shell.block_with("sh", "backup backup.sqlite"));
    node.log_in(&shell.login("later", 1));
    node.signal("TERM");
    assert!(node.wait().success());
    shell.run_as_it_is(&shell.block_with("sh", "install -m 600 backup.sqlite"));
    let node = shell.start(&shell.block("sh", 0), "");
    let (_stream, again) = node.log_in_by(&resume(&session, 1, 1, 2));
    assert_eq!(again["epoch"], session["epoch"]);
}

#[test]
fn a_leaked_key_is_answered_by_the_printed_lines() {
    let (shell, node) = administered();
    let (mut stream, session) = node.log_in(&shell.login("alice", 1));
    let own = shell.block_with("sh", "own()");
    let (function, _) = own.split_once('\n').unwrap();
    let page = Shell::new(SERVER);
    let run = |part: &str| {
        let line = page.block_with("sh", part);
        assert_eq!(
            output(&shell, &node, function, line.trim()),
            json!({"code": 0})
        );
    };
    run("token_keys/replace");
    assert_eq!(
        node.refusal("/v1/resume", &resume(&session, 1, 1, 2)).1,
        7726
    );
    run("sign_out_everybody");
    assert_eq!(stream.event().unwrap().0, "session_ended");
}

#[test]
fn readiness_and_figures_are_read_by_the_printed_lines() {
    let (mut shell, one) = one_node();
    let nodes = three_nodes(one, &mut shell);
    let (_stream, _) = nodes[0].log_in(&shell.login("alice", 1));
    let lines = shell.block_with("sh", "/metrics");
    // The page's addresses are replaced by the node's.
    for (node, logins) in nodes.iter().zip([1, 0, 0]) {
        let output = run_at(&shell, node, &lines);
        assert!(output.starts_with("ready\n"), "{output}");
        let figure = format!("tim_logins_total{{code=\"0\"}} {logins}\n");
        assert!(output.contains(&figure), "{output}");
    }
}

/// Runs lines whose addresses are those of a node with the page's settings.
fn run_at(shell: &Shell, node: &Server, lines: &str) -> String {
    let lines = lines
        .replace("127.0.0.1:7700", &node.address)
        .replace("127.0.0.1:7702", node.metrics.as_ref().unwrap());
    shell.run_as_it_is(&lines)
}

#[test]
fn the_loss_of_a_node_signs_nobody_out() {
    let (mut shell, one) = one_node();
    let nodes = three_nodes(one, &mut shell);
    let users = ["alice", "bob", "carol"];
    let sessions = users.map(|user| nodes[0].log_in(&shell.login(user, 1)));
    let [lost, second, third] = nodes;
    // Without an event to anybody.
    drop(lost);
    for (at, (_, session)) in sessions.iter().enumerate() {
        let node = [&second, &third][at % 2];
        let (_stream, again) = node.log_in_by(&resume(session, 1, 1, 2));
        assert_eq!(again["epoch"], session["epoch"], "{}", users[at]);
    }
}
