//! A client's request, and who sent it: for the log, once the request has proved to be that user's.

use super::Service;
use crate::token;
use tim_proto::identity;
use tim_proto::wire::{Ending, LoginRequest, LogoutRequest, ResumeRequest};

/// A client's request.
pub enum Request {
    Login(LoginRequest),
    Resume(ResumeRequest),
    Logout(LogoutRequest),
}

/// A user and a device.
#[derive(Default)]
pub struct Asker {
    pub user_id: Option<String>,
    pub device_id: Option<String>,
}

impl Asker {
    /// The user and device that a request names.
    fn named(user_id: &str, device_id: &str) -> Asker {
        Asker {
            user_id: identity::is_user_id(user_id).then(|| user_id.to_owned()),
            device_id: identity::is_device_id(device_id).then(|| device_id.to_owned()),
        }
    }
}

impl Service {
    /// Who sent a request: a session token must be a valid one.
    pub fn asker(&self, request: &Request) -> Asker {
        let session = match request {
            Request::Login(login) => return Asker::named(&login.user_id, &login.device_id),
            Request::Resume(resume) => &resume.session,
            Request::Logout(logout) => match &logout.ends {
                Ending::Session { session } => session,
                Ending::Login {
                    user_id, device_id, ..
                } => return Asker::named(user_id, device_id),
            },
        };
        let claims = token::verify(&self.token_keys(), session);
        claims.map_or_else(Asker::default, |claims| Asker {
            user_id: Some(claims.user_id),
            device_id: Some(claims.device_id.to_string()),
        })
    }
}
