//! Accounts: import, check, delete, kick.

use super::{Answer, Nothing, for_each, ok};
use crate::audit::Operator;
use crate::refused::Refused;
use crate::service::Service;
use crate::user::Profile;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use tim_proto::{code, identity};

/// How many users a request may name.
const USERS_MAX: usize = 100;
/// The longest nick and face url, in bytes.
const PROFILE_MAX: usize = 500;
const PROFILE_TOO_LONG: i32 = 40601;
/// What the reference system calls a user who is not there.
const NO_ACCOUNT: &str = "Err_TLS_PT_Open_Login_Account_Not_Exist";
const NOT_A_USER: &str = "expected 1 to 32 bytes without control characters";

fn bad(what: impl Into<String>) -> Refused {
    Refused::new(code::BAD_REQUEST, what)
}

/// The user that an object names, under the one name or the other.
fn named(object: &Value) -> Option<&str> {
    let name = object.get("UserID").or_else(|| object.get("Identifier"))?;
    name.as_str()
}

fn user_of(body: &Value) -> Result<String, Refused> {
    named(body)
        .filter(|user_id| identity::is_user_id(user_id))
        .map(str::to_owned)
        .ok_or_else(|| bad(format!("UserID: {NOT_A_USER}")))
}

fn profile_of(object: &Value) -> Result<Profile, Refused> {
    let text = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() > PROFILE_MAX => {
            let what = format!("{name}: longer than {PROFILE_MAX} bytes");
            Err(Refused::new(PROFILE_TOO_LONG, what))
        }
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(bad(format!("{name}: expected a string"))),
    };
    Ok(Profile {
        nick: text("Nick")?,
        face_url: text("FaceUrl")?,
    })
}

/// The list of a batch.
fn list<'a>(body: &'a Value, name: &str) -> Result<&'a Vec<Value>, Refused> {
    body.get(name)
        .and_then(Value::as_array)
        .filter(|list| (1..=USERS_MAX).contains(&list.len()))
        .ok_or_else(|| bad(format!("{name}: expected a list of 1 to {USERS_MAX}")))
}

/// The users that the objects of a list name, whether or not they can be users.
fn users(body: &Value, name: &str) -> Result<Vec<String>, Refused> {
    let users = list(body, name)?.iter().map(|item| {
        let user_id = named(item).map(str::to_owned);
        user_id.ok_or_else(|| bad(format!("{name}: expected objects with UserID, a string")))
    });
    users.collect()
}

pub async fn import(service: &Service, by: &Operator, body: &Value) -> Result<Answer, Refused> {
    service
        .import(by, &user_of(body)?, &profile_of(body)?)
        .await?;
    Ok(ok(Nothing {}))
}

#[derive(Serialize)]
struct Failed {
    #[serde(rename = "FailAccounts")]
    fail_accounts: Vec<String>,
}

/// The list has names alone in the older form, and objects in the newer one.
pub async fn import_many(
    service: &Arc<Service>,
    by: &Operator,
    body: &Value,
) -> Result<Answer, Refused> {
    let list = if body.get("AccountList").is_some() {
        list(body, "AccountList")?
    } else {
        list(body, "Accounts")?
    };
    let mut good = Vec::new();
    let mut fail_accounts = Vec::new();
    for item in list {
        let user_id = item.as_str().or_else(|| named(item));
        let user_id = user_id.ok_or_else(|| bad("expected the users' ids, as strings"))?;
        match profile_of(item) {
            Ok(profile) if identity::is_user_id(user_id) => {
                good.push((user_id.to_owned(), profile));
            }
            _ => fail_accounts.push(user_id.to_owned()),
        }
    }
    let tasks: Vec<_> = good
        .into_iter()
        .map(|(user_id, profile)| {
            let (service, by) = (service.clone(), by.clone());
            tokio::spawn(async move {
                let imported = service.import(&by, &user_id, &profile).await;
                imported.map_err(|_| user_id)
            })
        })
        .collect();
    for task in tasks {
        match task.await {
            Ok(Ok(())) => {}
            Ok(Err(user_id)) => fail_accounts.push(user_id),
            Err(_) => return Err(Refused::new(code::SERVER_ERROR, "the server failed")),
        }
    }
    Ok(ok(Failed { fail_accounts }))
}

#[derive(Serialize)]
struct Results<T> {
    #[serde(rename = "ResultItem")]
    items: Vec<T>,
}

#[derive(Serialize)]
struct Checked {
    #[serde(rename = "UserID")]
    user_id: String,
    #[serde(rename = "ResultCode")]
    code: i32,
    #[serde(rename = "ResultInfo")]
    info: &'static str,
    #[serde(rename = "AccountStatus")]
    status: &'static str,
}

pub async fn check(service: &Arc<Service>, body: &Value) -> Result<Answer, Refused> {
    let has_account = |user_id: String| {
        let service = service.clone();
        async move {
            if !identity::is_user_id(&user_id) {
                return Ok(None);
            }
            let there = |user: &crate::user::User, _| user.account.is_some();
            service.look(&user_id, there).await.map(Some)
        }
    };
    let found = for_each(users(body, "CheckItem")?, has_account).await?;
    let items = found.into_iter().map(|(user_id, there)| Checked {
        user_id,
        code: there.map_or(code::BAD_REQUEST, |_| 0),
        info: there.map_or(NOT_A_USER, |_| ""),
        status: if there == Some(true) {
            "Imported"
        } else {
            "NotImported"
        },
    });
    let items = items.collect();
    Ok(ok(Results { items }))
}

#[derive(Serialize)]
struct Deleted {
    #[serde(rename = "ResultCode")]
    code: i32,
    #[serde(rename = "ResultInfo")]
    info: &'static str,
    #[serde(rename = "UserID")]
    user_id: String,
}

pub async fn delete(
    service: &Arc<Service>,
    by: &Operator,
    body: &Value,
) -> Result<Answer, Refused> {
    let remove = |user_id: String| {
        let (service, by) = (service.clone(), by.clone());
        async move {
            if !identity::is_user_id(&user_id) {
                return Ok(None);
            }
            service.delete(&by, &user_id).await.map(Some)
        }
    };
    let removed = for_each(users(body, "DeleteItem")?, remove).await?;
    let items = removed.into_iter().map(|(user_id, removed)| {
        let (code, info) = match removed {
            Some(true) => (0, ""),
            Some(false) => (code::ACCOUNT_NOT_FOUND, NO_ACCOUNT),
            None => (code::BAD_REQUEST, NOT_A_USER),
        };
        Deleted {
            code,
            info,
            user_id,
        }
    });
    let items = items.collect();
    Ok(ok(Results { items }))
}

pub async fn kick(service: &Service, by: &Operator, body: &Value) -> Result<Answer, Refused> {
    if service.kick(by, &user_of(body)?).await? {
        Ok(ok(Nothing {}))
    } else {
        Err(Refused::new(code::ACCOUNT_NOT_FOUND, NO_ACCOUNT))
    }
}
