//! The events of the Rust API.

use crate::client::Client as Core;
use crate::delivery::Notice;
use crate::session::ConnectionStatus;
use std::time::{Duration, SystemTime};
use tim_proto::wire::KickCause;

/// What a client reports between calls. Later versions may add kinds and fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The connection changed. It needs no action: the library reconnects.
    #[non_exhaustive]
    Connection {
        /// The new status.
        status: ConnectionStatus,
        /// 0, or the cause.
        code: i32,
        /// The login it belongs to.
        login_id: u64,
    },
    /// Another login took the session over, or the server ended it. Tell the user; only a login
    /// takes it back.
    #[non_exhaustive]
    KickedOffline {
        /// Why: [`ERR_KICKED_OFFLINE`](crate::error::ERR_KICKED_OFFLINE), or a code of the server.
        code: i32,
        /// The login it belongs to.
        login_id: u64,
        /// Who took it over, if it was a login or an operator.
        by: Option<KickInfo>,
    },
    /// The ticket has expired or was revoked: log in with a new one.
    #[non_exhaustive]
    UserSigExpired {
        /// Why.
        code: i32,
        /// The login it belongs to.
        login_id: u64,
    },
    /// The ticket expires soon: get a new one and renew.
    #[non_exhaustive]
    UserSigExpiring {
        /// Until it does.
        seconds_left: i64,
        /// The login it belongs to.
        login_id: u64,
    },
}

/// Who took a session over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KickInfo {
    /// `other_device`, `same_device` or `operator`; `unknown` if a later server names another.
    pub cause: &'static str,
    /// Such as `android` or `mac`, if it was a device.
    pub platform: Option<&'static str>,
    /// As that device calls itself.
    pub device_name: String,
    /// When, by the server's clock.
    pub time: SystemTime,
}

impl Event {
    /// The event of a notice; `kick` finds out who took over.
    pub(super) fn of(notice: Notice, kick: impl FnOnce(u64) -> Option<KickInfo>) -> Option<Event> {
        match notice {
            Notice::Connection {
                status,
                code,
                login_id,
            } => Some(Event::Connection {
                status,
                code,
                login_id,
            }),
            Notice::KickedOffline { code, login_id } => Some(Event::KickedOffline {
                code,
                login_id,
                by: kick(login_id),
            }),
            Notice::UserSigExpired { code, login_id } => {
                Some(Event::UserSigExpired { code, login_id })
            }
            Notice::UserSigExpiring {
                seconds_left,
                login_id,
            } => Some(Event::UserSigExpiring {
                seconds_left,
                login_id,
            }),
            Notice::Closed | Notice::Pending => None,
        }
    }
}

impl KickInfo {
    /// Who took over the session of this login.
    pub(super) fn of(core: &Core, login_id: u64) -> Option<KickInfo> {
        let (kicked, kick) = core.kick_info()?;
        let cause = match kick.cause {
            KickCause::OtherDevice => "other_device",
            KickCause::SameDevice => "same_device",
            KickCause::Operator => "operator",
            KickCause::Unknown => "unknown",
        };
        (kicked == login_id).then(|| KickInfo {
            cause,
            platform: kick.platform.map(|platform| platform.name()),
            device_name: kick.device_name,
            time: SystemTime::UNIX_EPOCH
                + Duration::from_millis(u64::try_from(kick.time_ms).unwrap_or_default()),
        })
    }
}
