//! exploring

use tim_model::{Budget, Seen, Setup, run};
use tim_proto::Platform::{Android, Ipad, Web, Windows};
use tim_server::policy::Mode;

fn b() -> Budget {
    Budget::default()
}
const TWO: [(&str, tim_proto::Platform); 2] = [("phone", Android), ("desk", Windows)];

#[test]
fn a_takeovers() {
    run(
        Setup::new(
            "takeovers",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [2, 2, 0],
                breaks: 1,
                cuts: 1,
                copies: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn a_lossy() {
    run(
        Setup::new(
            "lossy",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [2, 2, 0],
                breaks: 2,
                timeouts: 1,
                copies: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn a_single() {
    run(
        Setup::new(
            "single",
            Mode::Single,
            1,
            &[("phone", Android), ("web", Web)],
            1,
            Budget {
                logins: [2, 2, 0],
                breaks: 1,
                cuts: 1,
                copies: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn a_three_dual() {
    run(
        Setup::new(
            "three",
            Mode::Dual,
            1,
            &[("phone", Android), ("desk", Windows), ("web", Web)],
            2,
            Budget {
                logins: [2, 2, 1],
                breaks: 1,
                cuts: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn a_three_triple() {
    run(
        Setup::new(
            "three",
            Mode::Triple,
            1,
            &[("phone", Android), ("tablet", Ipad), ("desk", Windows)],
            2,
            Budget {
                logins: [2, 2, 1],
                breaks: 1,
                cuts: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn a_three_multi2() {
    run(
        Setup::new(
            "three",
            Mode::Multi,
            2,
            &[("phone", Android), ("phone2", Android), ("phone3", Android)],
            2,
            Budget {
                logins: [2, 1, 1],
                breaks: 1,
                cuts: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn b_restart() {
    run(
        Setup::new(
            "restart",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [2, 2, 0],
                breaks: 1,
                cuts: 1,
                restarts: 1,
                logouts: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn b_lost_records() {
    run(
        Setup::new(
            "lost records",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [2, 2, 0],
                breaks: 1,
                cuts: 1,
                lost_records: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn b_lost_store() {
    run(
        Setup::new(
            "lost store",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [2, 2, 0],
                breaks: 1,
                cuts: 1,
                lost_stores: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn c_clones() {
    run(
        Setup::new(
            "clones",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [2, 1, 0],
                breaks: 1,
                cuts: 1,
                clones: 1,
                logouts: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn c_clones2() {
    run(
        Setup::new(
            "clones",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [2, 0, 0],
                cuts: 1,
                clones: 2,
                restarts: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn c_same_device() {
    run(
        Setup::new(
            "same device",
            Mode::Dual,
            1,
            &[("phone", Android), ("phone", Android)],
            1,
            Budget {
                logins: [2, 2, 0],
                breaks: 1,
                cuts: 1,
                copies: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn d_clock() {
    let mut s = Setup::new(
        "clock",
        Mode::Dual,
        1,
        &TWO,
        1,
        Budget {
            logins: [2, 2, 0],
            breaks: 1,
            copies: 1,
            clock_steps: 1,
            ..b()
        },
    );
    s.clock_steps = vec![-3_600_000, 3_600_000];
    run(s, &[]);
}
#[test]
fn d_clock_restart() {
    let mut s = Setup::new(
        "clock restart",
        Mode::Dual,
        1,
        &TWO,
        1,
        Budget {
            logins: [2, 2, 0],
            cuts: 1,
            restarts: 1,
            clock_steps: 1,
            ..b()
        },
    );
    s.clock_steps = vec![-3_600_000, 3_600_000];
    run(s, &[]);
}
#[test]
fn e_calls() {
    run(
        Setup::new(
            "calls",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [0, 1, 0],
                switches: 2,
                logouts: 1,
                renewals: 1,
                breaks: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn e_calls_alone() {
    run(
        Setup::new(
            "calls alone",
            Mode::Dual,
            1,
            &[("phone", Android)],
            1,
            Budget {
                logins: [0, 0, 0],
                switches: 3,
                logouts: 2,
                renewals: 1,
                destroys: 1,
                breaks: 1,
                timeouts: 1,
                probes: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn f_tickets() {
    let mut s = Setup::new(
        "tickets",
        Mode::Dual,
        1,
        &TWO,
        1,
        Budget {
            logins: [2, 1, 0],
            renewals: 1,
            cuts: 1,
            breaks: 1,
            clock_steps: 1,
            ..b()
        },
    );
    s.clock_steps = vec![7_200_000];
    s.ticket_ms = 3_600_000;
    run(s, &[]);
}
#[test]
fn g_notice() {
    let mut s = Setup::new(
        "notice",
        Mode::Dual,
        1,
        &TWO,
        1,
        Budget {
            logins: [2, 2, 0],
            cuts: 1,
            breaks: 1,
            restarts: 1,
            ..b()
        },
    );
    s.late_notice = true;
    s.rules.kicked_while_away_notice = true;
    run(s, &[]);
}
#[test]
fn g_silence() {
    let mut s = Setup::new(
        "silence",
        Mode::Dual,
        1,
        &TWO,
        1,
        Budget {
            logins: [2, 2, 0],
            cuts: 2,
            breaks: 1,
            ..b()
        },
    );
    s.late_notice = true;
    s.silence = true;
    run(s, &[]);
}

#[test]
fn x1() {
    run(
        Setup::new(
            "x1",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [1, 1, 0],
                restarts: 1,
                logouts: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn x2() {
    run(
        Setup::new(
            "x2",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [2, 1, 0],
                cuts: 1,
                restarts: 1,
                logouts: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn x3() {
    run(
        Setup::new(
            "x3",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [2, 2, 0],
                restarts: 1,
                logouts: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn x4() {
    run(
        Setup::new(
            "x4",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [2, 1, 0],
                breaks: 1,
                restarts: 1,
                logouts: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn x5() {
    run(
        Setup::new(
            "x5",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [2, 1, 0],
                breaks: 1,
                cuts: 1,
                logouts: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn x6() {
    run(
        Setup::new(
            "x6",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [1, 1, 0],
                switches: 1,
                logouts: 1,
                renewals: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn x7() {
    run(
        Setup::new(
            "x7",
            Mode::Dual,
            1,
            &TWO,
            1,
            Budget {
                logins: [0, 1, 0],
                switches: 2,
                renewals: 1,
                breaks: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn x8() {
    run(
        Setup::new(
            "x8",
            Mode::Dual,
            1,
            &TWO[..1],
            1,
            Budget {
                logins: [0, 0, 0],
                switches: 3,
                logouts: 1,
                breaks: 1,
                ..b()
            },
        ),
        &[],
    );
}
#[test]
fn x9() {
    run(
        Setup::new(
            "x9",
            Mode::Dual,
            1,
            &TWO[..1],
            1,
            Budget {
                logins: [0, 0, 0],
                switches: 3,
                logouts: 1,
                renewals: 1,
                timeouts: 1,
                ..b()
            },
        ),
        &[],
    );
}
