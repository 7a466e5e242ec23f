//! Visits every state of a check and reports what it found.

use crate::setup::Setup;
use crate::world::{Happening, World};
use stateright::{Checker, Model, Property};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What a check came across. A check that never meets its subject proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A login displaced others.
    Displacement,
    /// A retry of an accepted login was accepted.
    Retry,
    /// A login learned that it was displaced, or must report that first.
    LoginDisplaced,
    /// A login arrived late or twice.
    GhostLogin,
    /// A login with intent reconnect was accepted.
    ReLogin,
    /// A login with intent reconnect was refused.
    ReLoginFoundItsPlaceTaken,
    /// A resume of a session that the server knew.
    Resume,
    /// A resume of a session that the server no longer knew.
    Recreated,
    /// A resume learned that its session is over.
    ResumeDisplaced,
    /// A resume arrived late or twice.
    GhostResume,
    /// Another holder of a token took its session.
    Takeover,
    /// An answer arrived just as its request was dropped.
    LateAnswer,
    /// An app was kicked.
    Kick,
}

const KINDS: usize = Seen::Kick as usize + 1;

/// How often.
#[derive(Default)]
pub struct Count([AtomicU64; KINDS]);

impl Count {
    /// Counts it.
    pub fn saw(&self, seen: Seen) {
        self.0[seen as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, seen: Seen) -> u64 {
        self.0[seen as usize].load(Ordering::Relaxed)
    }
}

struct Check {
    setup: Setup,
    count: Arc<Count>,
}

impl Model for Check {
    type State = World;
    type Action = Happening;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.setup)]
    }

    fn actions(&self, state: &World, actions: &mut Vec<Happening>) {
        state.can_happen(&self.setup, actions);
    }

    fn next_state(&self, last: &World, what: Happening) -> Option<World> {
        let mut next = last.clone();
        next.happen(&self.setup, what, &self.count);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Check>> {
        vec![Property::always(
            "every rule holds",
            |check: &Check, state: &World| state.judge(&check.setup).is_none(),
        )]
    }
}

/// Visits every state of the check and prints how many there were. Panics with the shortest way to
/// a state in which a rule does not hold, and if something in `expected` was never seen.
pub fn run(setup: Setup, expected: &[Seen]) {
    let began = Instant::now();
    let count = Arc::new(Count::default());
    let (name, mode, budget) = (setup.name, setup.rules.policy.mode, setup.budget);
    let rules = setup.clone();
    let check = Check {
        setup,
        count: count.clone(),
    };
    let checker = check.checker().spawn_bfs().join();
    let mut report = format!(
        "{name} ({mode:?}): {} states, {} steps, {} deep, {:.1} s\n    {budget}\n",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64(),
    );
    for seen in expected {
        let _ = writeln!(report, "    {seen:?}: {}", count.of(*seen));
    }
    // Bypasses the test's capture: the numbers belong in the log of a run that passed.
    let _ = std::io::stdout().write_all(report.as_bytes());
    if let Some((_, path)) = checker.discoveries().into_iter().next() {
        let broken = path.last_state().judge(&rules);
        let mut way = String::new();
        for what in path.into_actions() {
            let _ = writeln!(way, "    {what:?}");
        }
        panic!("{name}: {broken:?} does not hold after\n{way}");
    }
    for seen in expected {
        assert!(count.of(*seen) > 0, "{name}: {seen:?} was never seen");
    }
}
