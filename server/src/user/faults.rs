//! Fault injection on a record: endings that the test of an app requests.

use super::{Push, Pushed, Session, User};
use tim_proto::code;
use tim_proto::wire::Kick;

impl User {
    fn of_device(&self, device_id: Option<&str>) -> Vec<Session> {
        let sessions = self.sessions.iter();
        let wanted = sessions.filter(|s| device_id.is_none_or(|device| *device == *s.device_id));
        wanted.cloned().collect()
    }

    /// Expires the tickets of the user's sessions, or of one device's: as with [`User::expire`],
    /// only the sessions end, and a new ticket renews them. Returns them.
    pub fn run_out(&mut self, device_id: Option<&str>, pushes: &mut Vec<Push>) -> Vec<Session> {
        let ended = self.of_device(device_id);
        self.sessions.retain(|session| !ended.contains(session));
        let streams = ended.iter().filter_map(|session| session.stream);
        pushes.extend(streams.map(|to| Push {
            to,
            what: Pushed::Ended(code::USER_SIG_EXPIRED),
        }));
        ended
    }

    /// Takes over the user's sessions, or one device's, as if by a login elsewhere. Returns how
    /// many.
    pub fn displace_as(
        &mut self,
        device_id: Option<&str>,
        kick: impl Fn(&Session) -> Kick,
        notice: bool,
        pushes: &mut Vec<Push>,
    ) -> usize {
        let ended = self.of_device(device_id);
        for session in &ended {
            self.end(session.session_id, Some(kick(session)), notice, pushes);
        }
        ended.len()
    }
}
