//! Each check visits every order of logins, messages, faults and restarts within its budget, prints
//! how many states there were, and names what it must have come across.

use Seen::*;
use tim_model::{Budget, Seen, Setup, run};
use tim_proto::Platform::{self, Android, Ipad, Web, Windows};
use tim_server::policy::Mode;

const PHONE: (&str, Platform) = ("phone", Android);
const TABLET: (&str, Platform) = ("tablet", Ipad);
const DESK: (&str, Platform) = ("desk", Windows);
const PAGE: (&str, Platform) = ("page", Web);
const HOUR_MS: i64 = 3_600_000;

/// Two devices, of which the policy allows one.
fn two(name: &'static str, budget: Budget) -> Setup {
    Setup::new(name, Mode::Dual, 1, &[PHONE, DESK], 1, budget)
}

#[test]
fn two_devices_take_the_session_from_each_other_over_a_bad_network() {
    let budget = Budget {
        logins: [2, 2, 0],
        breaks: 1,
        cuts: 1,
        copies: 1,
        ..Budget::default()
    };
    let seen = [
        Displacement,
        Retry,
        LoginDisplaced,
        GhostLogin,
        Resume,
        Kick,
    ];
    run(two("takeovers", budget), &seen);
}

#[test]
fn under_the_single_policy_the_web_is_one_of_them() {
    let budget = Budget {
        logins: [2, 2, 0],
        breaks: 1,
        cuts: 1,
        ..Budget::default()
    };
    let devices = [PHONE, PAGE];
    let setup = Setup::new("single", Mode::Single, 1, &devices, 1, budget);
    run(setup, &[Displacement, Retry, Kick]);
}

#[test]
fn under_the_dual_policy_the_web_is_beside_one_other() {
    let budget = Budget {
        logins: [1, 2, 1],
        breaks: 1,
        cuts: 1,
        ..Budget::default()
    };
    let devices = [PHONE, DESK, PAGE];
    let setup = Setup::new("dual", Mode::Dual, 1, &devices, 2, budget);
    run(setup, &[Displacement, Retry, Resume, Kick]);
}

#[test]
fn under_the_triple_policy_mobile_and_desktop_have_one_place_each() {
    let budget = Budget {
        logins: [2, 2, 1],
        breaks: 1,
        cuts: 1,
        ..Budget::default()
    };
    let devices = [PHONE, TABLET, DESK];
    let setup = Setup::new("triple", Mode::Triple, 1, &devices, 2, budget);
    run(setup, &[Displacement, Retry, LoginDisplaced, Resume, Kick]);
}

#[test]
fn under_the_multi_policy_a_platform_has_as_many_places_as_its_limit() {
    let budget = Budget {
        logins: [2, 1, 1],
        breaks: 1,
        cuts: 1,
        ..Budget::default()
    };
    let devices = [PHONE, ("phone 2", Android), ("phone 3", Android)];
    let setup = Setup::new("multi", Mode::Multi, 2, &devices, 2, budget);
    run(setup, &[Displacement, Retry, Resume, Kick]);
}

#[test]
fn a_restart_ends_nobodys_session_and_brings_none_back() {
    let budget = Budget {
        logins: [2, 1, 0],
        breaks: 1,
        cuts: 1,
        restarts: 1,
        ..Budget::default()
    };
    let seen = [
        Displacement,
        Recreated,
        ResumeDisplaced,
        LoginDisplaced,
        Kick,
    ];
    run(two("restart", budget), &seen);
}

#[test]
fn a_logout_is_known_after_a_restart() {
    let budget = Budget {
        logins: [1, 1, 0],
        logouts: 1,
        restarts: 1,
        ..Budget::default()
    };
    run(
        two("logout and restart", budget),
        &[Displacement, Recreated],
    );
}

#[test]
fn records_that_are_lost_kick_nobody_twice() {
    let budget = Budget {
        logins: [2, 1, 0],
        breaks: 1,
        cuts: 1,
        lost_records: 1,
        ..Budget::default()
    };
    run(
        two("lost records", budget),
        &[Displacement, Recreated, Kick],
    );
}

#[test]
fn a_store_that_is_lost_has_clients_log_in_again_without_displacing_anybody() {
    let budget = Budget {
        logins: [2, 1, 0],
        breaks: 1,
        cuts: 1,
        lost_stores: 1,
        ..Budget::default()
    };
    let seen = [ReLogin, ReLoginFoundItsPlaceTaken, Kick];
    run(two("lost store", budget), &seen);
}

#[test]
fn two_holders_of_one_token_do_not_fight() {
    let budget = Budget {
        logins: [1, 1, 0],
        breaks: 1,
        cuts: 1,
        clones: 1,
        ..Budget::default()
    };
    run(two("clone", budget), &[Takeover, Kick]);
    let budget = Budget {
        logins: [1, 0, 0],
        cuts: 1,
        clones: 2,
        restarts: 1,
        ..Budget::default()
    };
    run(two("clones and restart", budget), &[Takeover, Recreated]);
}

#[test]
fn two_clients_with_the_same_device_id_replace_each_other() {
    let budget = Budget {
        logins: [2, 2, 0],
        breaks: 1,
        cuts: 1,
        copies: 1,
        ..Budget::default()
    };
    let devices = [PHONE, PHONE];
    let setup = Setup::new("same device", Mode::Dual, 1, &devices, 1, budget);
    run(setup, &[Retry, Kick]);
}

#[test]
fn steps_of_the_servers_clock_change_nothing() {
    let budget = Budget {
        logins: [2, 2, 0],
        breaks: 1,
        copies: 1,
        clock_steps: 1,
        ..Budget::default()
    };
    let mut setup = two("clock", budget);
    setup.clock_steps = vec![-HOUR_MS, HOUR_MS];
    run(setup, &[Displacement, Retry, Kick]);
    let budget = Budget {
        logins: [2, 1, 0],
        cuts: 1,
        restarts: 1,
        clock_steps: 1,
        ..Budget::default()
    };
    let mut setup = two("clock and restart", budget);
    setup.clock_steps = vec![-HOUR_MS, HOUR_MS];
    run(setup, &[Displacement, Recreated, Kick]);
}

#[test]
fn every_call_completes_once_whatever_the_others_and_the_network_do() {
    let budget = Budget {
        switches: 2,
        logouts: 1,
        renewals: 1,
        destroys: 1,
        breaks: 1,
        timeouts: 1,
        ..Budget::default()
    };
    let setup = Setup::new("calls", Mode::Dual, 1, &[PHONE], 1, budget);
    run(setup, &[Retry, LateAnswer]);
}

#[test]
fn a_ticket_that_ends_is_renewed_or_ends_the_session_and_brings_none_back() {
    let budget = Budget {
        logins: [2, 1, 0],
        renewals: 1,
        cuts: 1,
        clock_steps: 1,
        ..Budget::default()
    };
    let mut setup = two("tickets", budget);
    setup.clock_steps = vec![2 * HOUR_MS];
    setup.ticket_ms = HOUR_MS;
    run(setup, &[Displacement, Resume, Kick]);
}

#[test]
fn a_device_that_was_away_learns_of_its_kick_once() {
    let budget = Budget {
        logins: [2, 1, 0],
        cuts: 1,
        breaks: 1,
        restarts: 1,
        ..Budget::default()
    };
    let mut setup = two("notice", budget);
    setup.late_notice = true;
    setup.rules.kicked_while_away_notice = true;
    run(setup, &[Displacement, LoginDisplaced, Kick]);
}

#[test]
fn a_stream_that_falls_silent_is_resumed() {
    let budget = Budget {
        logins: [2, 1, 0],
        cuts: 2,
        breaks: 1,
        ..Budget::default()
    };
    let mut setup = two("silence", budget);
    setup.late_notice = true;
    setup.silence = true;
    run(setup, &[Resume, ResumeDisplaced, Kick]);
}
