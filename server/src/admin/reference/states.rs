//! Who is online.

use super::{Answer, envelope, for_each, ok};
use crate::refused::Refused;
use crate::service::Service;
use crate::user::{Presence, User};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use tim_proto::{Platform, code, identity};

/// How many users a request may name.
const USERS_MAX: usize = 500;
const NO_USERS: i32 = 90001;
const WRONG_TYPE: i32 = 90003;
const TOO_MANY: i32 = 90011;

/// How the two paths spell what they both tell.
pub struct Spelling {
    is_older: bool,
    iphone: &'static str,
}

pub const ONLINE_STATUS: Spelling = Spelling {
    is_older: false,
    iphone: "iPhone",
};
pub const STATE: Spelling = Spelling {
    is_older: true,
    iphone: "IPhone",
};

impl Spelling {
    fn platform(&self, platform: Platform) -> &'static str {
        match platform {
            Platform::Android => "Android",
            Platform::Iphone => self.iphone,
            Platform::Ipad => "iPad",
            Platform::Mac => "Mac",
            Platform::Web => "Web",
            Platform::Windows | Platform::Linux => "PC",
        }
    }
}

#[derive(Serialize)]
struct States {
    #[serde(rename = "QueryResult")]
    states: Vec<State>,
    #[serde(rename = "ErrorList", skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<NotFound>>,
}

#[derive(Serialize)]
struct State {
    #[serde(rename = "To_Account")]
    user_id: String,
    #[serde(rename = "Status", skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(rename = "State", skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(rename = "Detail", skip_serializing_if = "Option::is_none")]
    detail: Option<Vec<Detail>>,
}

#[derive(Serialize)]
struct Detail {
    #[serde(rename = "Platform")]
    platform: &'static str,
    #[serde(rename = "Status")]
    status: &'static str,
}

#[derive(Serialize)]
struct NotFound {
    #[serde(rename = "To_Account")]
    user_id: String,
    #[serde(rename = "ErrorCode")]
    code: i32,
}

fn users(body: &Value) -> Result<Vec<String>, Refused> {
    let refused = |code, what: &str| Err(Refused::new(code, what));
    let users = match body.get("To_Account") {
        None | Some(Value::Null) => return refused(NO_USERS, "To_Account is missing"),
        Some(Value::Array(users)) => users,
        Some(_) => return refused(WRONG_TYPE, "To_Account: expected a list"),
    };
    if users.is_empty() {
        return refused(NO_USERS, "To_Account is empty");
    }
    if users.len() > USERS_MAX {
        return refused(TOO_MANY, "To_Account: more than 500");
    }
    let users = users.iter().map(|user_id| {
        let user_id = user_id.as_str().map(str::to_owned);
        user_id.ok_or_else(|| Refused::new(WRONG_TYPE, "To_Account: expected strings"))
    });
    users.collect()
}

fn needs_detail(body: &Value) -> Result<bool, Refused> {
    match body.get("IsNeedDetail") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Number(number)) => Ok(number.as_i64() == Some(1)),
        Some(_) => Err(Refused::new(WRONG_TYPE, "IsNeedDetail: expected 0 or 1")),
    }
}

/// A platform under one name is states once, in its best state.
fn detail(presence: &[(Platform, Presence)], spelling: &Spelling) -> Vec<Detail> {
    let mut best: Vec<(&'static str, Presence)> = Vec::new();
    for (platform, presence) in presence {
        let name = spelling.platform(*platform);
        match best.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = (*known).max(*presence),
            None => best.push((name, *presence)),
        }
    }
    let details = best.into_iter().map(|(platform, presence)| Detail {
        platform,
        status: presence.name(),
    });
    details.collect()
}

pub async fn query(
    service: &Arc<Service>,
    body: &Value,
    spelling: &Spelling,
) -> Result<Answer, Refused> {
    let with_detail = needs_detail(body)?;
    let presence = |user_id: String| {
        let service = service.clone();
        async move {
            if !identity::is_user_id(&user_id) {
                return Ok(None);
            }
            let view = |user: &User, now| user.account.as_ref().map(|_| user.presence(now));
            service.look(&user_id, view).await
        }
    };
    let (mut states, mut missing) = (Vec::new(), Vec::new());
    for (user_id, presence) in for_each(users(body)?, presence).await? {
        let Some(presence) = presence else {
            let code = code::ACCOUNT_NOT_FOUND;
            missing.push(NotFound { user_id, code });
            continue;
        };
        let best = presence.iter().map(|(_, presence)| *presence).max();
        let best = best.unwrap_or(Presence::Offline).name();
        states.push(State {
            user_id,
            status: (!spelling.is_older).then_some(best),
            state: spelling.is_older.then_some(best),
            detail: with_detail.then(|| detail(&presence, spelling)),
        });
    }
    let nobody = states.is_empty();
    let states = States {
        states,
        errors: (!spelling.is_older || !missing.is_empty()).then_some(missing),
    };
    if nobody {
        let what = "none of the accounts exists";
        return Ok(envelope(code::ACCOUNT_NOT_FOUND, what, states));
    }
    Ok(ok(states))
}
