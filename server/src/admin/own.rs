//! This server's own paths: devices, bans, figures. docs/openapi.json describes them.

use super::{Answer, bad, check_user_id, json, parse, query};
use crate::audit::Operator;
use crate::figures::DAYS_KEPT;
use crate::refused::Refused;
use crate::service::Service;
use crate::user::{Ban, Device, Session, User};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tim_proto::code;

/// How many days of figures are returned by default.
const DAYS: u32 = 30;
/// The longest reason of a ban, in bytes.
const REASON_MAX: usize = 256;

#[derive(Clone, Copy)]
pub enum What {
    User,
    SignOut,
    Ban,
    LiftBan,
    Figures,
    SignEverybodyOut,
    ReplaceTokenKeys,
}

pub const ROUTES: [(&str, &str, What); 7] = [
    ("GET", "/v1/users/{user_id}", What::User),
    (
        "POST",
        "/v1/users/{user_id}/devices/{device_id}/sign_out",
        What::SignOut,
    ),
    ("PUT", "/v1/users/{user_id}/ban", What::Ban),
    ("DELETE", "/v1/users/{user_id}/ban", What::LiftBan),
    ("GET", "/v1/figures", What::Figures),
    ("POST", "/v1/sign_out_everybody", What::SignEverybodyOut),
    ("POST", "/v1/token_keys/replace", What::ReplaceTokenKeys),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BanRequest {
    until_ms: Option<i64>,
    #[serde(default)]
    reason: String,
}

/// Answers an administrator's request.
pub async fn answer(
    service: &Arc<Service>,
    by: &Operator,
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> Result<Answer, Refused> {
    let (what, parts) = match query::route(&ROUTES, method, path) {
        Ok(found) => found,
        Err((status, what)) => return Ok(super::problem(status, what)),
    };
    let user_id = parts.first().map(String::as_str).unwrap_or_default();
    if !parts.is_empty() {
        check_user_id(user_id)?;
    }
    let answer = match what {
        What::User => {
            let described = service
                .look(user_id, |user, now| describe(user_id, user, now))
                .await?;
            described.ok_or_else(|| missing("there is no such user"))?
        }
        What::SignOut => {
            let device_id = parts.get(1).map(String::as_str).unwrap_or_default();
            if !service.sign_out(by, user_id, device_id).await? {
                return Err(missing("there is no such device"));
            }
            json!({"code": 0})
        }
        What::Ban => {
            service.ban(by, user_id, &read_ban(body)?).await?;
            json!({"code": 0})
        }
        What::LiftBan => {
            if !service.lift_ban(by, user_id).await? {
                return Err(missing("the user is not banned"));
            }
            json!({"code": 0})
        }
        What::Figures => figures(service, query).await?,
        What::SignEverybodyOut => {
            service.sign_everybody_out(by).await?;
            json!({"code": 0})
        }
        What::ReplaceTokenKeys => {
            service.replace_token_keys(by).await?;
            json!({"code": 0})
        }
    };
    Ok(json(StatusCode::OK, &answer))
}

fn missing(what: &str) -> Refused {
    Refused::new(code::ACCOUNT_NOT_FOUND, what)
}

fn read_ban(body: &[u8]) -> Result<Ban, Refused> {
    let request: BanRequest = parse(body, "{\"until_ms\", \"reason\"}")?;
    let reason = &request.reason;
    if reason.len() > REASON_MAX || reason.chars().any(char::is_control) {
        return Err(bad(
            "reason: expected up to 256 bytes without control characters",
        ));
    }
    if request
        .until_ms
        .is_some_and(|until| until <= crate::clock::now_ms())
    {
        return Err(bad("until_ms: expected a future time, in ms of Unix time"));
    }
    Ok(Ban {
        until_ms: request.until_ms,
        reason: request.reason,
    })
}

/// What is known about a user; `None` if nothing.
fn describe(user_id: &str, user: &User, now_ms: i64) -> Option<Value> {
    let account = user.account.as_ref().map(|account| {
        json!({
            "registered_ms": account.registered_ms,
            "nick": account.nick,
            "face_url": account.face_url,
        })
    });
    let ban = user
        .ban(now_ms)
        .map(|ban| json!({"until_ms": ban.until_ms, "reason": ban.reason}));
    let session_of = |device: &Device| {
        let mut sessions = user.sessions.iter();
        sessions.find(|session| session.device_id == device.device_id)
    };
    let listed = user
        .devices
        .iter()
        .map(|device| about(Some(device), session_of(device)));
    let not_listed = user.sessions.iter().filter(|session| {
        let mut devices = user.devices.iter();
        !devices.any(|device| device.device_id == session.device_id)
    });
    let devices: Vec<Value> = listed
        .chain(not_listed.map(|session| about(None, Some(session))))
        .collect();
    if account.is_none() && ban.is_none() && devices.is_empty() {
        return None;
    }
    Some(json!({"user_id": user_id, "account": account, "ban": ban, "devices": devices}))
}

/// A device with its session; at least one of the two is known.
fn about(device: Option<&Device>, session: Option<&Session>) -> Value {
    let (device_id, platform, device_name) = match (device, session) {
        (Some(device), _) => (&device.device_id, device.platform, &device.device_name),
        (None, Some(session)) => (&session.device_id, session.platform, &session.device_name),
        (None, None) => return Value::Null,
    };
    json!({
        "device_id": device_id,
        "platform": platform,
        "device_name": device_name,
        "online": session.is_some_and(|session| session.stream.is_some()),
        "since_ms": session.map(since),
        "epoch": session.map(|session| session.epoch),
        "first_login_ms": device.map(|device| device.first_ms),
        "last_login_day": device.map(|device| device.last_day.to_string()),
    })
}

/// Since when the device has been away, or when it logged in.
fn since(session: &Session) -> i64 {
    let away = session.away_since_ms.filter(|_| session.stream.is_none());
    away.unwrap_or_else(|| i64::try_from(session.epoch).unwrap_or(i64::MAX))
}

async fn figures(service: &Service, query: &str) -> Result<Value, Refused> {
    let days = match query::value(query, "days") {
        None => DAYS,
        Some(days) => days
            .parse()
            .ok()
            .filter(|days| (1..=DAYS_KEPT).contains(days))
            .ok_or_else(|| bad("days: expected 1 to 400"))?,
    };
    let (today, figures) = service.figures(days).await?;
    let days: Vec<Value> = (0..days)
        .map(|ago| {
            let day = today.before(ago);
            let of_day = figures.days.get(&day).copied().unwrap_or_default();
            json!({
                "day": day.to_string(),
                "active": of_day.active,
                "registered": of_day.registered,
                "logins": of_day.tally.logins,
                "online_max": of_day.tally.online_max,
            })
        })
        .collect();
    Ok(json!({
        "accounts": figures.registered.saturating_sub(figures.removed),
        "registered": figures.registered,
        "days": days,
    }))
}
