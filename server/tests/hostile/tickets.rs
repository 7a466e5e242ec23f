//! Tickets that inflate to far more than their size: refused as unreadable, at the cost of any
//! other bad ticket.

use crate::process::{APP, Server, login, now_s};
use crate::victim::Victim;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::io::Write;
use tim_proto::identity::USER_SIG_MAX;
use tim_proto::user_sig;

const UNBOUNDED: &str = "throttle.failures = 0\nthrottle.address_failures = 0\n";
const UNREADABLE: (u16, i64) = (401, 70003);

/// The text of a ticket that inflates to this.
fn packed(inflated: &[u8]) -> String {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    zlib.write_all(inflated).unwrap();
    let base64 = STANDARD.encode(zlib.finish().unwrap());
    base64.replace('+', "*").replace('/', "-").replace('=', "_")
}

fn with_ticket(ticket: String) -> Value {
    let mut login = login("alice", 1, 1, 1);
    login["user_sig"] = ticket.into();
    login
}

/// JSON around this many letters.
fn padded(letters: usize) -> Vec<u8> {
    format!(
        "{{\"TLS.identifier\":\"{}\",\"TLS.sig\":\"\"}}",
        "a".repeat(letters)
    )
    .into_bytes()
}

#[test]
fn a_ticket_that_inflates_to_megabytes_is_unreadable_and_costs_no_more_than_a_forged_one() {
    let victim = Victim::with(UNBOUNDED);
    let bomb = packed(&padded(2_900_000));
    assert!(bomb.len() <= USER_SIG_MAX, "{} bytes", bomb.len());
    let guessed = "0123456789abcdef0123456789abcdef";
    let forged = user_sig::make(guessed, APP, "alice", now_s(), 3600, None).unwrap();
    let cost = |ticket: &str, wanted: (u16, i64)| {
        let before = victim.processor_s();
        let login = with_ticket(ticket.to_owned());
        for _ in 0..1000 {
            assert_eq!(victim.refusal("/v1/login", &login), wanted);
        }
        victim.processor_s() - before
    };
    let forged = cost(&forged, (401, 70009));
    let bombs = cost(&bomb, UNREADABLE);
    // Inflated entirely, each of them would take milliseconds.
    assert!(bombs <= 2.0 * forged + 0.2, "{bombs} s beside {forged} s");
    // One at a time, and each far larger than this.
    victim.survives(1);
}

#[test]
fn tickets_of_every_inflated_size_and_of_broken_streams_are_unreadable() {
    let victim = Victim::with(UNBOUNDED);
    let refused = |ticket: String| {
        assert_eq!(
            victim.refusal("/v1/login", &with_ticket(ticket)),
            UNREADABLE
        );
    };
    for letters in [9_000, 20_000, 100_000, 1_000_000, 10_000_000] {
        refused(packed(&padded(letters)));
    }
    refused(packed(&vec![0; 3_000_000]));
    refused(packed(&b"[".repeat(8_000)));
    refused(packed(&[b"{\"a\":".repeat(1_600), b"1".to_vec()].concat()));
    // A bomb in a bomb.
    refused(packed(packed(&padded(2_900_000)).as_bytes()));
    let whole = packed(&padded(100));
    for end in (1..whole.len()).step_by(4) {
        refused(whole[..end].to_owned());
    }
    refused("A".repeat(USER_SIG_MAX));
    refused("A".repeat(USER_SIG_MAX + 1));
    refused("A".repeat(15_000));
    victim.survives(1);
}

#[test]
fn a_bomb_as_an_administrators_ticket_or_in_what_a_login_ends_is_refused() {
    let victim = Victim::of(Server::with_admin(UNBOUNDED));
    let bomb = packed(&padded(2_900_000));
    let bearer = format!("Authorization: Bearer {bomb}\r\n");
    let (status, refusal) = victim.own_by("GET", "/v1/users/alice", &bearer, "");
    assert_eq!((status, refusal["code"].as_i64()), (401, Some(70003)));
    let query = crate::process::admin::query_of(APP, "administrator", &bomb);
    let path = "im_open_login_svc/account_check";
    let answer = victim.reference_by("POST", path, &query, "{}");
    assert_eq!(answer["ErrorCode"], 70003);
    let mut earlier = with_ticket(bomb);
    for field in ["ends", "platform", "device_name", "intent", "seq"] {
        earlier.as_object_mut().unwrap().remove(field);
    }
    assert_eq!(
        victim.refusal("/v1/logout", &{
            let mut logout = earlier.clone();
            logout["seq"] = 1.into();
            logout
        }),
        UNREADABLE
    );
    // The tickets in a login's endings do not prevent it.
    let mut login = login("alice", 1, 2, 2);
    login["ends"] = vec![earlier; 2].into();
    victim.log_in(&login);
    victim.survives(1);
}
