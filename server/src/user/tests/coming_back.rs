//! What comes back after a restart, a lost write, a clock step or a long absence, and what does
//! not.

use super::*;

#[test]
fn what_has_ended_is_not_resumed_also_after_a_restart() {
    let mut world = world();
    let phone = world.is_in("phone", 1, 1);
    let tablet = world.is_in("tablet", 1, 1);
    let (id, epoch, ends) = (tablet.session_id, tablet.epoch, tablet.ends_ms);
    world
        .user
        .log_out(id, "tablet", epoch, ends, &mut world.pushes);
    for _ in 0..2 {
        let Outcome::Displaced(Some(kick)) = world.resume(&phone, &number("phone", 1, 9)) else {
            panic!("came back");
        };
        assert_eq!(
            kick.device_name, "tablet",
            "who it was is remembered until the device learns of it"
        );
        assert_eq!(
            world.resume(&tablet, &number("tablet", 1, 9)),
            Outcome::Displaced(None)
        );
        world.restarts();
    }
}

#[test]
fn what_lives_is_resumed_after_a_restart_at_its_old_epoch_in_any_order() {
    for phone_first in [true, false] {
        let mut world = world();
        world.rules.policy.mode = Mode::Multi;
        world.rules.policy.instances.insert(Platform::Android, 2);
        let phone = world.is_in("phone", 1, 1);
        let tablet = world.is_in("tablet", 1, 1);
        world.restarts();
        let mut order = [&phone, &tablet];
        if !phone_first {
            order.reverse();
        }
        for session in order {
            let device = &session.device_id;
            assert!(matches!(
                world.resume(session, &number(device, 1, 2)),
                Outcome::Accepted(_)
            ));
        }
        let epochs: Vec<_> = world.user.sessions.iter().map(|s| s.epoch).collect();
        assert!(epochs.contains(&phone.epoch) && epochs.contains(&tablet.epoch));
        assert!(world.kicked().is_empty());
    }
}

#[test]
fn a_retry_of_a_displaced_login_takes_nothing_back_after_a_restart() {
    let mut world = world();
    // The answer never arrived: the phone's client tries again.
    world.is_in("phone", 1, 1);
    let tablet = world.is_in("tablet", 1, 1);
    world.restarts();
    let retry = world.log_in("phone", &number("phone", 1, 2), true);
    let Outcome::Displaced(Some(kick)) = retry else {
        panic!("{retry:?}");
    };
    assert_eq!(kick.device_name, "tablet");
    world.resume(&tablet, &number("tablet", 1, 2));
    // The app's next login does.
    world.is_in("phone", 2, 3);
}

#[test]
fn a_retry_is_one_also_after_the_clock_was_set_forward() {
    let mut world = world();
    let first = world.is_in("phone", 2, 2);
    // Beyond the time for which request numbers are remembered.
    world.now_ms += HOUR_MS / 2;
    let retry = world.log_in("phone", &number("phone", 2, 3), true);
    assert_eq!(retry, Outcome::Accepted(first.session_id));
    assert_eq!(world.user.sessions[0].epoch, first.epoch);
    world.now_ms += HOUR_MS / 4;
    let older = world.log_in("phone", &number("phone", 1, 1), true);
    assert_eq!(older, Outcome::Ghost);
}

#[test]
fn what_has_ended_is_known_for_as_long_as_its_token_can_be_renewed() {
    let mut world = world();
    let mut phone = world.is_in("phone", 1, 1);
    let tablet = world.is_in("tablet", 1, 1);
    // The tablet is gone, and the phone comes back with a new ticket, long after its old one
    // expired.
    world.end_with_token(&tablet);
    world.now_ms = phone.ends_ms + RENEWABLE_MS - 1;
    world.user.tidy(world.now_ms);
    assert!(can_resume(phone.ends_ms, true, world.now_ms));
    phone.ends_ms = world.now_ms + HOUR_MS;
    assert!(is_displaced(&world.resume(&phone, &number("phone", 1, 2))));
}

#[test]
fn a_token_is_resumed_until_its_tickets_end_and_with_a_new_ticket_for_a_week_more() {
    let end = 1_700_000_000_000;
    assert!(can_resume(end, false, end) && !can_resume(end, false, end + 1));
    let last = end + 7 * 24 * HOUR_MS;
    assert!(can_resume(end, true, last) && !can_resume(end, true, last + 1));
}

#[test]
fn an_older_session_never_displaces_a_newer_one() {
    let mut world = world();
    let phone = world.is_in("phone", 1, 1);
    // The engine lost its last writes: nobody knows that the phone's session ended.
    world.user = User::default();
    let tablet = world.is_in("tablet", 1, 1);
    let Outcome::Displaced(Some(kick)) = world.resume(&phone, &number("phone", 1, 2)) else {
        panic!("an older session came back");
    };
    assert_eq!(kick.device_name, "tablet");
    assert_eq!(world.user.sessions, [tablet]);
}

#[test]
fn a_login_after_a_restart_is_newer_than_all_before_whatever_the_clock_says() {
    let mut world = world();
    let phone = world.is_in("phone", 1, 1);
    let given = phone.epoch;
    world.restarts();
    // What the store knows of the previous run: no epoch was above this.
    world.user.epochs_above(given);
    world.now_ms -= HOUR_MS;
    let tablet = world.is_in("tablet", 1, 1);
    assert!(tablet.epoch > phone.epoch);
    assert!(is_displaced(&world.resume(&phone, &number("phone", 1, 2))));
    assert_eq!(world.user.sessions, [tablet]);
}

#[test]
fn a_session_that_was_renewed_after_its_ticket_ended_is_not_said_to_be_gone() {
    let mut world = world();
    let phone = world.is_in("phone", 1, 1);
    let before = world.user.clone();
    world.now_ms = phone.ends_ms + 60_001;
    world.user.tidy(world.now_ms);
    assert_eq!(
        world.user.gone_since(&before),
        [],
        "a new ticket can renew it"
    );
    let mut renewed = phone.clone();
    renewed.ends_ms = world.now_ms + HOUR_MS;
    let outcome = world.resume(&renewed, &number("phone", 1, 2));
    assert!(matches!(outcome, Outcome::Accepted(_)));
}

#[test]
fn an_older_token_that_ends_later_does_not_outlive_the_logout() {
    let mut world = world();
    let mut long = world.is_in("phone", 1, 1);
    long.ends_ms = world.now_ms + 365 * 24 * HOUR_MS;
    world.resume(&long, &number("phone", 1, 2));
    let mut short = long.clone();
    short.ends_ms = world.now_ms + HOUR_MS;
    world.resume(&short, &number("phone", 1, 3));
    world.end_with_token(&short);
    world.now_ms = short.ends_ms + RENEWABLE_MS + 1;
    world.user.tidy(world.now_ms);
    let outcome = world.resume(&long, &number("thief", 1, 1));
    assert!(is_displaced(&outcome), "the older token came back");
}

#[test]
fn a_policy_that_has_changed_displaces_nobody_at_a_resume_after_a_restart() {
    let mut world = world();
    world.rules.policy.instances.insert(Platform::Android, 3);
    let (phone, desktop) = (world.is_in("phone", 1, 1), world.is_in("desktop", 1, 1));
    world.restarts();
    world.rules.policy.instances.clear();
    for session in [&desktop, &phone] {
        let outcome = world.resume(session, &number(&session.device_id, 1, 5));
        assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
    }
    assert_eq!(world.user.sessions.len(), 2);
    // It applies from the next login on.
    world.is_in("tablet", 1, 1);
    assert_eq!(world.user.sessions.len(), 1);
}
