//! What an answer means. Only a verdict (needs a ticket, or ended) may sign a user out: an answer
//! with the protocol's header that echoes the request's numbers and whose code is in one of those
//! two classes. Everything else is a wait or network trouble.

use super::context::Context;
use super::input::{Answer, Failure, Phase, Refused};
use super::server_clock::ServerClock;
use crate::error;
use tim_proto::bounds;
use tim_proto::code::{self, Class};
use tim_proto::wire;

/// An answer, judged.
pub(super) enum Judged {
    /// The login or resume was accepted.
    Accepted(wire::SessionEvent),
    /// The logout was done.
    LoggedOut,
    /// The server has decided.
    Verdict {
        class: Class,
        failure: Failure,
        kick: Option<wire::Kick>,
    },
    /// The server answered without deciding anything about the user: wait, or change the
    /// configuration.
    NotNow {
        failure: Failure,
        retry_after_ms: Option<u64>,
    },
    /// Not from the server: a gateway, a portal, a proxy.
    Trouble {
        failure: Failure,
        retry_after_ms: Option<u64>,
    },
}

/// Which instance an answer must echo.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Echo {
    Instance,
    /// A logout by token has no instance to echo.
    InstanceOrNone,
}

impl Context {
    /// Judges the answer to the login or resume `seq`, and takes the server's time from it.
    pub(super) fn judge(&mut self, seq: u64, answer: Answer) -> Judged {
        self.judge_echo(seq, answer, Echo::Instance)
    }

    /// Judges the answer to the logout `seq`.
    pub(super) fn judge_logout(&mut self, seq: u64, answer: Answer) -> Judged {
        self.judge_echo(seq, answer, Echo::InstanceOrNone)
    }

    fn judge_echo(&mut self, seq: u64, answer: Answer, echo: Echo) -> Judged {
        match answer {
            Answer::Session(event) if self.is_echo(&event.instance, event.seq, seq, echo) => {
                self.server_clock = Some(ServerClock::new(event.server_time_ms, self.now));
                Judged::Accepted(event)
            }
            Answer::LoggedOut(answer) if answer.seq == seq => Judged::LoggedOut,
            Answer::Session(_) | Answer::LoggedOut(_) => trouble(
                error::ERR_NOT_TIM_SERVER,
                "the answer belongs to another request".to_owned(),
                String::new(),
                None,
            ),
            Answer::Refused(refused) => self.judge_refusal(seq, refused, echo),
        }
    }

    /// Whether an answer with those numbers belongs to the request `seq`.
    fn is_echo(&self, instance: &str, echoed_seq: u64, seq: u64, echo: Echo) -> bool {
        let names_none = instance.is_empty() && echo == Echo::InstanceOrNone;
        (instance == self.identity.instance || names_none) && echoed_seq == seq
    }

    fn judge_refusal(&self, seq: u64, refused: Refused, echo: Echo) -> Judged {
        let Refused {
            http_status,
            tim_protocol,
            refusal,
            retry_after_ms,
            address,
        } = refused;
        let retry_after_ms = retry_after_ms.map(|ms| bounds::RETRY_AFTER_MS.clamp(ms));
        let refusal = refusal.filter(|refusal| {
            // What the server could not parse it could not echo; nor does it decide anything.
            tim_protocol
                && (self.is_echo(&refusal.instance, refusal.seq, seq, echo)
                    || refusal.code == code::BAD_REQUEST)
        });
        let Some(refusal) = refusal else {
            return not_the_server(http_status, address, retry_after_ms);
        };
        let failure = Failure {
            code: refusal.code,
            phase: Phase::Response,
            cause: refusal.message,
            address,
        };
        match code::class(refusal.code) {
            Some(class @ (Class::NeedsTicket | Class::Ended)) => Judged::Verdict {
                class,
                failure,
                kick: refusal.kick,
            },
            Some(Class::Retry | Class::Configuration) => Judged::NotNow {
                failure,
                retry_after_ms,
            },
            None if error::entry(refusal.code).is_some() => Judged::NotNow {
                failure,
                retry_after_ms,
            },
            None => trouble(
                error::ERR_NOT_TIM_SERVER,
                format!(
                    "the server answered code {}, which is not known",
                    refusal.code
                ),
                failure.address,
                retry_after_ms,
            ),
        }
    }
}

fn not_the_server(status: u16, address: String, retry_after_ms: Option<u64>) -> Judged {
    let (code, cause) = match status {
        407 => (
            error::ERR_PROXY_AUTH,
            "a proxy asks for a user name and password".to_owned(),
        ),
        408 | 429 | 500..=599 => (
            error::ERR_HTTP,
            format!("HTTP {status} from a gateway in front of the server"),
        ),
        _ => (
            error::ERR_NOT_TIM_SERVER,
            format!("HTTP {status} without the header Tim-Protocol: 1"),
        ),
    };
    trouble(code, cause, address, retry_after_ms)
}

fn trouble(code: i32, cause: String, address: String, retry_after_ms: Option<u64>) -> Judged {
    Judged::Trouble {
        failure: Failure {
            code,
            phase: Phase::Response,
            cause,
            address,
        },
        retry_after_ms,
    }
}
