//! The paths of fault injection: they exist only with `--enable-fault-injection`. docs/faults.md is
//! their manual; docs/openapi.json describes them.

use super::{Answer, bad, check_user_id, json, parse, query};
use crate::faults::{Failing, Faults};
use crate::refused::Refused;
use crate::service::{Service, Whose};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;
use tim_proto::{Platform, code, identity};

pub const PREFIX: &str = "/v1/faults";

/// The longest delay: ten minutes.
const DELAY_MAX_MS: u64 = 600_000;
/// The clock can be moved by up to ten years.
const OFFSET_MAX_MS: u64 = 315_360_000_000;
/// The device that took a session over, by default.
const DEVICE_NAME: &str = "fault injection";

#[derive(Clone, Copy)]
pub enum What {
    Show,
    Clear,
    Expire,
    Kick,
    Drop,
    Delay,
    Status,
    Clock,
}

pub const ROUTES: [(&str, &str, What); 8] = [
    ("GET", "/v1/faults", What::Show),
    ("DELETE", "/v1/faults", What::Clear),
    ("POST", "/v1/faults/expire", What::Expire),
    ("POST", "/v1/faults/kick", What::Kick),
    ("POST", "/v1/faults/drop", What::Drop),
    ("PUT", "/v1/faults/delay", What::Delay),
    ("PUT", "/v1/faults/status", What::Status),
    ("PUT", "/v1/faults/clock", What::Clock),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfUser {
    user_id: String,
    device_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KickRequest {
    user_id: String,
    device_id: Option<String>,
    by_platform: Option<Platform>,
    by_device_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DropRequest {
    user_id: Option<String>,
    device_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DelayRequest {
    ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusRequest {
    status: u16,
    count: Option<u32>,
    retry_after_s: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockRequest {
    offset_ms: i64,
}

/// Answers an administrator's request.
pub async fn answer(
    service: &Service,
    faults: &Faults,
    from: IpAddr,
    method: &Method,
    path: &str,
    body: &[u8],
) -> Result<Answer, Refused> {
    let what = match query::route(&ROUTES, method, path) {
        Ok((what, _)) => what,
        Err((status, what)) => return Ok(super::problem(status, what)),
    };
    let answer = match what {
        What::Show => show(faults),
        What::Clear => {
            faults.clear();
            service.move_clock(0).await;
            json!({"code": 0})
        }
        What::Expire => {
            let request: OfUser = parse(body, "{\"user_id\", \"device_id\"}")?;
            let whose = whose(&request.user_id, request.device_id.as_deref())?;
            found(service.run_out(from, &whose).await?)?
        }
        What::Kick => {
            let expected = "{\"user_id\", \"device_id\", \"by_platform\", \"by_device_name\"}";
            let request: KickRequest = parse(body, expected)?;
            let whose = whose(&request.user_id, request.device_id.as_deref())?;
            let name = request.by_device_name.as_deref().unwrap_or(DEVICE_NAME);
            let name = identity::device_name(name);
            let displaced = service.displace(from, &whose, request.by_platform, &name);
            found(displaced.await?)?
        }
        What::Drop => {
            let request: DropRequest = parse(body, "{} or {\"user_id\", \"device_id\"}")?;
            let device_id = request.device_id.as_deref();
            match (&request.user_id, device_id) {
                (Some(user_id), _) => {
                    let whose = whose(user_id, device_id)?;
                    found(service.cut(Some(&whose)).await?)?
                }
                (None, None) => done(service.cut(None).await?),
                (None, Some(_)) => return Err(bad("device_id needs a user_id")),
            }
        }
        What::Delay => {
            let request: DelayRequest = parse(body, "{\"ms\"}")?;
            if request.ms > DELAY_MAX_MS {
                return Err(bad("ms: expected 0 to 600000"));
            }
            faults.set_delay(Duration::from_millis(request.ms));
            json!({"code": 0})
        }
        What::Status => {
            faults.set_failing(Some(failing(&parse(
                body,
                "{\"status\", \"count\", \"retry_after_s\"}",
            )?)?));
            json!({"code": 0})
        }
        What::Clock => {
            let request: ClockRequest = parse(body, "{\"offset_ms\"}")?;
            if request.offset_ms.unsigned_abs() > OFFSET_MAX_MS {
                return Err(bad("offset_ms: expected -315360000000 to 315360000000"));
            }
            service.move_clock(request.offset_ms).await;
            json!({"code": 0})
        }
    };
    tracing::warn!(%method, path, "fault injection");
    Ok(json(StatusCode::OK, &answer))
}

fn whose<'a>(user_id: &'a str, device_id: Option<&'a str>) -> Result<Whose<'a>, Refused> {
    check_user_id(user_id)?;
    Ok(Whose { user_id, device_id })
}

fn done(sessions: usize) -> Value {
    json!({"code": 0, "sessions": sessions})
}

/// A fault that affects no session is an error in the test.
fn found(sessions: usize) -> Result<Value, Refused> {
    match sessions {
        0 => Err(Refused::new(
            code::ACCOUNT_NOT_FOUND,
            "there is no such session",
        )),
        sessions => Ok(done(sessions)),
    }
}

fn failing(request: &StatusRequest) -> Result<Failing, Refused> {
    let status = StatusCode::from_u16(request.status).ok();
    let status = status
        .filter(StatusCode::is_server_error)
        .ok_or_else(|| bad("status: expected 500 to 599"))?;
    if request.count == Some(0) {
        return Err(bad("count: expected 1 or more, or none for all"));
    }
    Ok(Failing {
        status,
        left: request.count,
        retry_after_s: request.retry_after_s,
    })
}

fn show(faults: &Faults) -> Value {
    let set = faults.set();
    let failing = set.failing.map(|failing| {
        json!({
            "status": failing.status.as_u16(),
            "count": failing.left,
            "retry_after_s": failing.retry_after_s,
        })
    });
    json!({
        "delay_ms": u64::try_from(set.delay.as_millis()).unwrap_or(u64::MAX),
        "status": failing,
        "clock_offset_ms": set.clock_offset_ms,
        "run_out_tickets": set.run_out_tickets,
    })
}
