//! The rules of a user's record, without a server: what each request changes, and which streams are
//! told.

mod operator;

use super::*;
use crate::policy::Mode;
use tim_proto::wire::RequestNumber;

mod coming_back;

const HOUR_MS: i64 = 3_600_000;

/// A record, its rules, its clock, and what was pushed.
struct World {
    user: User,
    rules: Rules,
    now_ms: i64,
    pushes: Vec<Push>,
    streams: u64,
}

fn world() -> World {
    World {
        user: User::default(),
        rules: Rules::default(),
        now_ms: 1_700_000_000_000,
        pushes: Vec::new(),
        streams: 0,
    }
}

fn number(instance: &str, login_no: u64, seq: u64) -> RequestNumber {
    RequestNumber {
        instance: instance.to_owned(),
        login_no,
        seq,
    }
}

impl World {
    fn stream(&mut self) -> StreamRef {
        self.streams += 1;
        StreamRef {
            node: 1,
            stream_id: self.streams,
        }
    }

    fn log_in(&mut self, device: &str, number: &RequestNumber, interactive: bool) -> Outcome {
        let stream = self.stream();
        let login = Login {
            device_id: device,
            platform: Platform::Android,
            device_name: device,
            number,
            ends_ms: self.now_ms + HOUR_MS,
            interactive,
            session_id: 1000 + stream.stream_id,
            stream,
        };
        self.user
            .login(&login, &self.rules, self.now_ms, &mut self.pushes)
    }

    /// An accepted interactive login; returns its session.
    fn is_in(&mut self, device: &str, login_no: u64, seq: u64) -> Session {
        let outcome = self.log_in(device, &number(device, login_no, seq), true);
        let Outcome::Accepted(session_id) = outcome else {
            panic!("{device}: {outcome:?}");
        };
        self.user.session(session_id).unwrap().clone()
    }

    fn resume(&mut self, session: &Session, number: &RequestNumber) -> Outcome {
        let stream = self.stream();
        let claim = Claim {
            session_id: session.session_id,
            device_id: session.device_id.clone(),
            platform: session.platform,
            device_name: session.device_name.clone(),
            epoch: session.epoch,
            ends_ms: session.ends_ms,
            latest_end_ms: session.latest_end_ms,
            policy: session.policy,
        };
        let (rules, now) = (&self.rules, self.now_ms);
        self.user
            .resume(claim, number, stream, rules, now, &mut self.pushes)
    }

    /// The device's connection is lost.
    fn goes_away(&mut self, session: &Session) {
        let session_id = session.session_id;
        let stream = self.user.session(session_id).unwrap().stream.unwrap();
        self.user.stream_closed(stream, self.now_ms);
    }

    /// The devices whose streams were kicked, and by whom.
    fn kicked(&mut self) -> Vec<(u64, KickCause, String)> {
        let kicks = self.pushes.drain(..).filter_map(|push| match push.what {
            Pushed::Kicked(kick) => Some((push.to.stream_id, kick.cause, kick.device_name)),
            Pushed::Closed | Pushed::Ended(_) => None,
        });
        kicks.collect()
    }

    /// Its client logs it out.
    fn end_with_token(&mut self, session: &Session) {
        let (id, device) = (session.session_id, &session.device_id);
        let pushes = &mut self.pushes;
        (self.user).log_out(id, device, session.epoch, session.ends_ms, pushes);
    }

    /// The store loses its memory; the lasting part remains.
    fn restarts(&mut self) {
        self.user = what_lasts(&self.user);
    }
}

/// What a store that keeps sessions in memory finds after a restart.
fn what_lasts(user: &User) -> User {
    let text = serde_json::to_string(&user.as_lasting()).unwrap();
    let read: User = serde_json::from_str(&text).unwrap();
    assert_eq!(read, user.lasting(), "what is written is what lasts");
    read
}

fn is_displaced(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Displaced(_))
}

#[test]
fn the_newest_login_wins_and_the_older_device_learns_who_kicked_it() {
    let mut world = world();
    let phone = world.is_in("phone", 1, 1);
    let tablet = world.is_in("tablet", 1, 1);
    assert!(tablet.epoch > phone.epoch);
    let kick = (
        phone.stream.unwrap().stream_id,
        KickCause::OtherDevice,
        "tablet".to_owned(),
    );
    assert_eq!(world.kicked(), [kick]);
    assert_eq!(world.user.sessions, [tablet]);
}

#[test]
fn epochs_grow_where_the_clock_stands_or_steps_back() {
    let mut world = world();
    let first = world.is_in("phone", 1, 1);
    world.now_ms -= HOUR_MS;
    let second = world.is_in("tablet", 1, 1);
    assert_eq!(second.epoch, first.epoch + 1);
}

#[test]
fn a_request_that_comes_late_or_twice_changes_nothing() {
    let mut world = world();
    world.is_in("phone", 2, 5);
    let before = world.user.clone();
    for (login_no, seq) in [(2, 5), (2, 4), (1, 6)] {
        let outcome = world.log_in("phone", &number("phone", login_no, seq), true);
        assert_eq!(outcome, Outcome::Ghost);
        assert_eq!(world.user, before);
    }
}

#[test]
fn a_retry_gets_its_session_at_its_first_epoch_with_a_new_stream() {
    let mut world = world();
    let first = world.is_in("phone", 1, 1);
    let again = world.is_in("phone", 1, 2);
    assert_eq!(
        (again.session_id, again.epoch),
        (first.session_id, first.epoch)
    );
    assert_ne!(again.stream, first.stream);
    assert!(world.kicked().is_empty());
    world.is_in("tablet", 1, 1);
    assert!(is_displaced(&world.log_in(
        "phone",
        &number("phone", 1, 3),
        true
    )));
    assert_eq!(
        world.user.sessions.len(),
        1,
        "and does not displace in turn"
    );
}

#[test]
fn a_login_with_intent_reconnect_takes_a_free_place_or_none() {
    let mut world = world();
    assert!(matches!(
        world.log_in("phone", &number("phone", 1, 1), false),
        Outcome::Accepted(_)
    ));
    assert!(is_displaced(&world.log_in(
        "tablet",
        &number("tablet", 1, 1),
        false
    )));
    assert!(is_displaced(&world.log_in(
        "phone",
        &number("a clone", 1, 1),
        false
    )));
    assert!(world.kicked().is_empty());
}

#[test]
fn the_same_device_replaces_itself_and_another_reader_of_its_stream_is_notified() {
    let mut world = world();
    world.is_in("phone", 1, 1);
    world.is_in("phone", 2, 2);
    assert!(world.kicked().is_empty(), "the app asked for it");
    world.log_in("phone", &number("a clone", 1, 1), true);
    assert_eq!(world.kicked()[0].1, KickCause::SameDevice);
}

#[test]
fn two_holders_of_one_token_cannot_fight() {
    let mut world = world();
    let session = world.is_in("phone", 1, 1);
    let clone = number("a clone", 1, 1);
    assert_eq!(
        world.resume(&session, &clone),
        Outcome::Accepted(session.session_id)
    );
    let kicked = world.kicked();
    assert_eq!(kicked[0].0, session.stream.unwrap().stream_id);
    assert_eq!(kicked[0].1, KickCause::SameDevice);
}

#[test]
fn a_logout_by_number_ends_a_login_that_comes_later() {
    let mut world = world();
    let now = world.now_ms;
    world
        .user
        .end_login("phone", "phone", 1, now, &mut world.pushes);
    assert_eq!(
        world.log_in("phone", &number("phone", 1, 1), true),
        Outcome::Ghost
    );
    world.is_in("phone", 2, 2);
}

#[test]
fn a_ticket_that_was_renewed_in_time_does_not_end_the_session() {
    let mut world = world();
    let mut session = world.is_in("phone", 1, 1);
    let old = session.stream.unwrap();
    let then = session.ends_ms + 1;
    session.ends_ms += HOUR_MS;
    world.resume(&session, &number("phone", 1, 2));
    assert!(!world.user.expire(old, then));
    let new = world.user.sessions[0].stream.unwrap();
    assert!(!world.user.expire(new, then));
    assert!(world.user.expire(new, then + HOUR_MS));
    assert!(world.user.sessions.is_empty());
}

#[test]
fn kicked_while_away_is_reported_once_at_the_next_login_where_the_app_wants_it() {
    for wanted in [false, true] {
        let mut world = world();
        world.rules.kicked_while_away_notice = wanted;
        let phone = world.is_in("phone", 1, 1);
        world.goes_away(&phone);
        world.is_in("tablet", 1, 1);
        world.restarts();
        // The phone's app was restarted: another instance.
        let first = world.log_in("phone", &number("later", 1, 1), true);
        assert_eq!(is_displaced(&first), wanted);
        if wanted {
            let Outcome::Displaced(Some(kick)) = first else {
                panic!("nobody was named");
            };
            assert_eq!(kick.device_name, "tablet");
            let retry = world.log_in("phone", &number("later", 1, 2), true);
            assert!(is_displaced(&retry), "a retry does not use it up");
            let again = world.log_in("phone", &number("later", 2, 3), true);
            assert!(matches!(again, Outcome::Accepted(_)));
        }
    }
}

#[test]
fn a_kick_reported_on_the_stream_or_a_resume_is_not_reported_at_the_next_login() {
    let mut world = world();
    world.rules.kicked_while_away_notice = true;
    world.is_in("phone", 1, 1);
    let tablet = world.is_in("tablet", 1, 1);
    world.is_in("phone", 2, 2);
    world.goes_away(&world.user.sessions[0].clone());
    assert!(is_displaced(
        &world.resume(&tablet, &number("tablet", 1, 2))
    ));
    let phone = world.user.sessions[0].clone();
    world.is_in("tablet", 2, 3);
    assert!(is_displaced(&world.resume(&phone, &number("phone", 2, 3))));
    world.is_in("phone", 3, 4);
}

/// The two devices take the session from each other, a second apart.
fn take_in_turn(world: &mut World, times: u64, from: u64) {
    for turn in from..from + times {
        let device = ["phone", "tablet"][turn as usize % 2];
        world.is_in(device, turn, turn);
        world.now_ms += 1_000;
    }
}

#[test]
fn after_six_takeovers_in_a_minute_the_next_waits_ten_seconds() {
    let mut world = world();
    // The first login displaces nobody.
    take_in_turn(&mut world, 7, 1);
    let wait = |world: &mut World, device: &str, turn| match world.log_in(
        device,
        &number(device, turn, turn),
        true,
    ) {
        Outcome::TooOften { retry_after_ms } => retry_after_ms,
        outcome => panic!("{outcome:?}"),
    };
    assert_eq!(wait(&mut world, "phone", 8), 10_000);
    world.now_ms += 4_000;
    assert_eq!(wait(&mut world, "phone", 9), 6_000, "not prolonged");
    world.now_ms += 6_000;
    world.is_in("phone", 10, 10);
    assert_eq!(wait(&mut world, "tablet", 11), 10_000, "and then again");
}

#[test]
fn a_third_device_or_a_minutes_pause_or_zero_ends_the_waiting() {
    let mut world = world();
    take_in_turn(&mut world, 7, 1);
    world.is_in("watch", 1, 1);
    take_in_turn(&mut world, 6, 20);
    world.now_ms += 60_000;
    take_in_turn(&mut world, 6, 40);
    world.rules.takeovers_max = 0;
    take_in_turn(&mut world, 20, 60);
}

#[test]
fn more_devices_than_have_floors_of_their_own_stay_dead_and_the_living_live() {
    let mut world = world();
    world.rules.policy.instances.insert(Platform::Android, 2);
    world.rules.policy.instances.insert(Platform::Web, 1);
    let stays = world.is_in("stays", 1, 1);
    let mut gone = Vec::new();
    for at in 0..300 {
        let device = format!("device {at}");
        gone.push(world.is_in(&device, 1, 1));
        // So that the oldest, which is displaced first, is not the one that stays.
        let session = gone[at as usize].clone();
        let (id, epoch, ends) = (session.session_id, session.epoch, session.ends_ms);
        world
            .user
            .log_out(id, &device, epoch, ends, &mut world.pushes);
    }
    world.restarts();
    assert!(serde_json::to_vec(&world.user).unwrap().len() < 16_384);
    for session in &gone {
        let number = number(&session.device_id, 1, 2);
        assert!(is_displaced(&world.resume(session, &number)));
    }
    assert!(matches!(
        world.resume(&stays, &number("stays", 1, 2)),
        Outcome::Accepted(_)
    ));
}

#[test]
fn a_session_ends_when_nobody_has_come_back_to_it_for_a_week() {
    let mut world = world();
    let mut phone = world.is_in("phone", 1, 1);
    let week_ms = world.rules.away_max_ms;
    phone.ends_ms += 2 * week_ms;
    world.resume(&phone, &number("phone", 1, 2));
    let now = world.now_ms;
    world.user.end_absent(&world.rules, now + 10 * week_ms);
    assert_eq!(world.user.sessions.len(), 1, "its stream is read");
    world.goes_away(&phone);
    world.user.end_absent(&world.rules, now + week_ms);
    assert_eq!(world.user.sessions.len(), 1);
    world.user.end_absent(&world.rules, now + week_ms + 1);
    assert!(is_displaced(&world.resume(&phone, &number("phone", 1, 3))));
}

#[test]
fn what_time_has_made_void_is_forgotten() {
    let mut world = world();
    let phone = world.is_in("phone", 1, 1);
    world.goes_away(&phone);
    world.is_in("tablet", 1, 1);
    let tablet = world.user.sessions[0].clone();
    world.goes_away(&tablet);
    assert!(world.user.tidy(world.now_ms), "a session is left");
    assert!(!world.user.tidy(world.now_ms + 2 * HOUR_MS + RENEWABLE_MS));
    let empty = User {
        account: world.user.account.clone(),
        devices: world.user.devices.clone(),
        active_day: world.user.active_day,
        ..User::default()
    };
    assert_eq!(what_lasts(&world.user), empty);
}

#[test]
fn a_record_is_the_same_after_it_was_written_and_read() {
    let mut world = world();
    world.rules.kicked_while_away_notice = true;
    take_in_turn(&mut world, 3, 1);
    let text = serde_json::to_string(&world.user).unwrap();
    assert_eq!(serde_json::from_str::<User>(&text).unwrap(), world.user);
}
