//! What the operator decides, and what it leaves behind: tickets, tokens, bans, devices, days.

use super::*;
use tim_proto::code;

const DAY_MS: i64 = 24 * HOUR_MS;

/// A ticket issued in the world's current second, or that many seconds later.
fn ticket(world: &World, after_s: i64, print: u64) -> Ticket {
    Ticket {
        issued_s: world.now_ms / 1000 + after_s,
        print,
    }
}

impl World {
    fn admit(&mut self, ticket: Ticket) -> Result<(), Denied> {
        self.user.admit(ticket, self.now_ms)
    }

    fn kick(&mut self) -> bool {
        self.user.kick(self.now_ms, &mut self.pushes)
    }

    fn ban(&mut self, until_ms: Option<i64>) {
        let ban = Ban {
            until_ms,
            reason: "spam".to_owned(),
        };
        self.user.set_ban(ban, self.now_ms, &mut self.pushes);
    }

    /// The codes with which streams were ended.
    fn ended(&mut self) -> Vec<i32> {
        let ended = self.pushes.drain(..).filter_map(|push| match push.what {
            Pushed::Ended(code) => Some(code),
            Pushed::Kicked(_) | Pushed::Closed => None,
        });
        ended.collect()
    }
}

#[test]
fn a_kick_voids_what_was_made_or_used_before_it_and_nothing_made_after() {
    let mut world = world();
    world.is_in("phone", 1, 1);
    world.now_ms += 10_500;
    let (before, used, unused) = (
        ticket(&world, -1, 1),
        ticket(&world, 0, 2),
        ticket(&world, 0, 3),
    );
    let ahead = ticket(&world, 5, 4);
    for ticket in [before, used, ahead] {
        assert_eq!(world.admit(ticket), Ok(()));
    }
    assert!(world.kick());
    for restarted in [false, true] {
        for ticket in [before, used, ahead] {
            assert_eq!(world.admit(ticket), Err(Denied::Revoked), "{restarted}");
        }
        assert_eq!(world.admit(unused), Ok(()));
        assert_eq!(world.admit(ticket(&world, 5, 5)), Ok(()));
        world.restarts();
    }
    // Tickets made and used between two kicks of one second are voided by the second.
    world.restarts();
    assert_eq!(world.admit(unused), Ok(()));
    assert!(world.kick());
    for ticket in [before, used, unused, ahead] {
        assert_eq!(world.admit(ticket), Err(Denied::Revoked));
    }
}

#[test]
fn a_kick_ends_every_session_also_one_that_a_token_alone_knows() {
    for restarted in [false, true] {
        let mut world = world();
        world.rules.policy.mode = Mode::Multi;
        world.rules.policy.instances.insert(Platform::Android, 2);
        let here = world.is_in("phone", 1, 1);
        let away = world.is_in("tablet", 1, 1);
        world.goes_away(&away);
        if restarted {
            world.restarts();
        }
        world.now_ms += 1_000;
        assert!(world.kick());
        let count = if restarted { 0 } else { 1 };
        assert_eq!(world.ended(), vec![code::USER_SIG_REVOKED; count]);
        world.restarts();
        for session in [&here, &away] {
            let now = world.now_ms;
            let denied = world.user.admit_session(session.epoch, now);
            assert_eq!(denied, Err(Denied::Ended(code::USER_SIG_REVOKED)));
            let resumed = world.resume(session, &number(&session.device_id, 1, 9));
            assert!(is_displaced(&resumed), "nor by any other way");
        }
        let later = world.is_in("phone", 2, 20);
        assert!(later.epoch > here.epoch.max(away.epoch));
        let now = world.now_ms;
        assert_eq!(world.user.admit_session(later.epoch, now), Ok(()));
    }
}

#[test]
fn nobody_without_an_account_is_kicked_or_deleted() {
    let mut world = world();
    assert!(!world.kick());
    assert!(!world.user.delete(world.now_ms, &mut world.pushes));
    assert_eq!(world.user, User::default());
}

#[test]
fn a_banned_user_is_out_until_then_and_the_sessions_stay_ended() {
    let mut world = world();
    let session = world.is_in("phone", 1, 1);
    let until = world.now_ms + HOUR_MS;
    world.ban(Some(until));
    assert_eq!(world.ended(), [code::BANNED]);
    world.restarts();
    let ban = Ban {
        until_ms: Some(until),
        reason: "spam".to_owned(),
    };
    let old = ticket(&world, -60, 1);
    assert_eq!(world.admit(old), Err(Denied::Banned(ban.clone())));
    let now = world.now_ms;
    assert_eq!(
        world.user.admit_session(session.epoch, now),
        Err(Denied::Banned(ban))
    );
    world.now_ms = until;
    assert_eq!(world.admit(old), Ok(()), "its time has passed");
    assert_eq!(
        world.user.admit_session(session.epoch, until),
        Err(Denied::Ended(code::BANNED))
    );
    world.is_in("phone", 2, 2);
}

#[test]
fn a_ban_without_an_end_is_in_force_until_it_is_lifted() {
    let mut world = world();
    world.ban(None);
    world.now_ms += 1000 * DAY_MS;
    let old = ticket(&world, -60, 1);
    assert!(matches!(world.admit(old), Err(Denied::Banned(_))));
    assert!(world.user.lift_ban(world.now_ms));
    assert_eq!(world.admit(old), Ok(()));
    assert!(!world.user.lift_ban(world.now_ms), "none is left");
}

#[test]
fn a_deleted_user_registers_anew_and_stays_banned() {
    let mut world = world();
    let profile = Profile {
        nick: Some("Alice".to_owned()),
        face_url: None,
    };
    world.user.import(&profile, &world.rules, world.now_ms);
    let session = world.is_in("phone", 1, 1);
    assert_eq!(world.user.account.as_ref().unwrap().nick, "Alice");
    let revoked = world.now_ms;
    assert!(world.user.delete(world.now_ms, &mut world.pushes));
    assert_eq!(world.ended(), [code::ACCOUNT_NOT_FOUND]);
    world.restarts();
    assert_eq!(
        world.user.admit_session(session.epoch, revoked),
        Err(Denied::Ended(code::ACCOUNT_NOT_FOUND))
    );
    assert_eq!(world.user.devices.iter().count(), 0);
    world.now_ms += HOUR_MS;
    world.is_in("phone", 2, 20);
    let account = world.user.account.clone().unwrap();
    assert_eq!(
        (account.nick.as_str(), account.registered_ms),
        ("", world.now_ms)
    );
    world.ban(None);
    assert!(world.user.delete(world.now_ms, &mut world.pushes));
    assert!(world.user.ban(world.now_ms).is_some());
}

#[test]
fn an_import_changes_what_it_names_and_leaves_the_rest() {
    let mut world = world();
    for (nick, face_url, known) in [
        (Some("Al"), None, ("Al", "")),
        (None, Some("http://a"), ("Al", "http://a")),
        (Some("Bo"), None, ("Bo", "http://a")),
        (Some(""), None, ("", "http://a")),
    ] {
        let profile = Profile {
            nick: nick.map(str::to_owned),
            face_url: face_url.map(str::to_owned),
        };
        world.user.import(&profile, &world.rules, world.now_ms);
        world.restarts();
        let account = world.user.account.as_ref().unwrap();
        assert_eq!((account.nick.as_str(), account.face_url.as_str()), known);
        assert_eq!(account.registered_ms, world.now_ms);
    }
}

#[test]
fn a_device_that_is_signed_out_learns_who_did_it_and_can_log_in_again() {
    for restarted in [false, true] {
        let mut world = world();
        world.rules.policy.instances.insert(Platform::Android, 2);
        let phone = world.is_in("phone", 1, 1);
        let tablet = world.is_in("tablet", 1, 1);
        if restarted {
            world.restarts();
        }
        let now = world.now_ms;
        assert!(world.user.sign_out("phone", now, &mut world.pushes));
        let causes: Vec<_> = world.kicked().iter().map(|kick| kick.1).collect();
        assert_eq!(causes, vec![KickCause::Operator; usize::from(!restarted)]);
        world.restarts();
        let Outcome::Displaced(Some(kick)) = world.resume(&phone, &number("phone", 1, 9)) else {
            panic!("came back, or nobody says why not");
        };
        assert_eq!(kick.cause, KickCause::Operator);
        assert!(matches!(
            world.resume(&tablet, &number("tablet", 1, 9)),
            Outcome::Accepted(_)
        ));
        world.is_in("phone", 2, 20);
    }
}

#[test]
fn a_device_that_the_user_does_not_have_is_not_signed_out() {
    let mut world = world();
    world.is_in("phone", 1, 1);
    let before = world.user.clone();
    let now = world.now_ms;
    assert!(!world.user.sign_out("watch", now, &mut world.pushes));
    assert_eq!(world.user, before);
}

#[test]
fn devices_are_kept_with_their_first_login_and_last_day() {
    let mut world = world();
    world.is_in("phone", 1, 1);
    let first = world.now_ms;
    world.now_ms += 3 * DAY_MS;
    world.is_in("phone", 2, 2);
    world.restarts();
    let device = world.user.devices.iter().next().unwrap();
    let last_day = world.rules.time_zone.day(world.now_ms);
    assert_eq!((device.first_ms, device.last_day), (first, last_day));
}

#[test]
fn more_devices_than_are_kept_push_out_the_one_that_was_away_longest() {
    let mut world = world();
    for at in 1..=100 {
        world.is_in(&format!("device {at}"), 1, 1);
        world.now_ms += DAY_MS;
    }
    let kept: Vec<_> = world.user.devices.iter().collect();
    assert_eq!(kept.len(), 32);
    assert!(kept.iter().any(|device| &*device.device_id == "device 100"));
    assert!(!kept.iter().any(|device| &*device.device_id == "device 68"));
}

#[test]
fn accepted_logins_and_resumes_make_a_day_active_and_refused_ones_do_not() {
    let mut world = world();
    let day = |world: &World| world.rules.time_zone.day(world.now_ms);
    world.rules.policy.mode = Mode::Single;
    world.is_in("phone", 1, 1);
    assert_eq!(world.user.active_day, day(&world));
    let first = day(&world);
    world.now_ms += DAY_MS;
    let refused = world.log_in("tablet", &number("tablet", 1, 1), false);
    assert!(is_displaced(&refused));
    let session = world.user.sessions[0].clone();
    world.goes_away(&session);
    assert_eq!(world.user.active_day, first);
    world.resume(&session, &number("phone", 1, 2));
    assert_eq!(world.user.active_day, day(&world));
    // A clock that steps back counts no day twice.
    world.now_ms -= DAY_MS;
    world.is_in("phone", 2, 3);
    assert!(world.user.active_day > first);
}

#[test]
fn a_known_device_costs_one_write_a_day() {
    let mut world = world();
    world.is_in("phone", 1, 1);
    // Whatever ends here leaves a floor, which is written; so nothing must end.
    for turn in 0..5 {
        let session = world.user.sessions[0].clone();
        world.goes_away(&session);
        let before = world.user.clone();
        world.resume(&session, &number("phone", 1, 10 + turn));
        assert!(world.user.lasts_as(&before));
    }
    let before = world.user.clone();
    world.now_ms += DAY_MS;
    let session = world.user.sessions[0].clone();
    world.resume(&session, &number("phone", 1, 99));
    assert!(!world.user.lasts_as(&before));
}

#[test]
fn a_phone_without_a_connection_can_be_reached_for_a_week_and_a_desktop_cannot() {
    let mut world = world();
    let phone = world.is_in("phone", 1, 1);
    let presence = |world: &World| world.user.presence(world.now_ms);
    assert_eq!(presence(&world), [(Platform::Android, Presence::Online)]);
    world.goes_away(&phone);
    world.now_ms += 7 * DAY_MS - 1;
    assert_eq!(
        presence(&world),
        [(Platform::Android, Presence::PushOnline)]
    );
    world.now_ms += 1;
    assert_eq!(presence(&world), [(Platform::Android, Presence::Offline)]);
    world.user.sessions[0].platform = Platform::Linux;
    world.now_ms -= DAY_MS;
    assert_eq!(presence(&world), [(Platform::Linux, Presence::Offline)]);
}

#[test]
fn somebody_who_watches_learns_who_came_with_whom_they_kicked_who_left_and_who_was_lost() {
    let mut world = world();
    let mut seen = world.user.clone();
    let mut changes = |world: &World| {
        let changes = world.user.changes_since(&seen);
        seen = world.user.clone();
        changes
    };
    world.is_in("phone", 1, 1);
    let came = |kicked: &[Platform]| Change::Came(Platform::Android, kicked.to_vec());
    assert_eq!(changes(&world), [came(&[])]);
    let tablet = world.is_in("tablet", 1, 1);
    assert_eq!(changes(&world), [came(&[Platform::Android])]);
    world.goes_away(&tablet);
    assert_eq!(changes(&world), [Change::Lost(Platform::Android)]);
    world.resume(&tablet, &number("tablet", 1, 2));
    assert_eq!(changes(&world), [came(&[])]);
    world.is_in("tablet", 2, 3);
    assert_eq!(
        changes(&world),
        [came(&[])],
        "a device does not kick itself"
    );
    let tablet = world.user.sessions[0].clone();
    let (id, epoch, ends) = (tablet.session_id, tablet.epoch, tablet.ends_ms);
    world
        .user
        .log_out(id, "tablet", epoch, ends, &mut world.pushes);
    assert_eq!(changes(&world), [Change::Left(Some(Platform::Android))]);
    world.rules.policy.instances.insert(Platform::Android, 2);
    world.is_in("phone", 2, 3);
    world.is_in("tablet", 3, 4);
    changes(&world);
    assert!(world.kick());
    assert_eq!(changes(&world), [Change::Left(None)], "once");
}
