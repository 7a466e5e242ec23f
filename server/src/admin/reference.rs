//! The reference system's REST paths: always 200, with ActionStatus, ErrorInfo and ErrorCode.
//!
//! Clients send bodies with GET, omit the content type, and name a user `UserID` or `Identifier`:
//! all of that is accepted.

mod accounts;
mod figures;
mod states;

use super::{Answer, json, query};
use crate::audit::Operator;
use crate::refused::Refused;
use crate::service::Service;
use hyper::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use tim_proto::code;

pub const PREFIX: &str = "/v4/";

/// The action of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    Import,
    ImportMany,
    Check,
    Delete,
    Kick,
    QueryOnlineStatus,
    QueryState,
    AppInfo,
}

pub const PATHS: [(&str, What); 8] = [
    ("/v4/im_open_login_svc/account_import", What::Import),
    (
        "/v4/im_open_login_svc/multiaccount_import",
        What::ImportMany,
    ),
    ("/v4/im_open_login_svc/account_check", What::Check),
    ("/v4/im_open_login_svc/account_delete", What::Delete),
    ("/v4/im_open_login_svc/kick", What::Kick),
    ("/v4/openim/query_online_status", What::QueryOnlineStatus),
    ("/v4/openim/querystate", What::QueryState),
    ("/v4/openconfigsvr/getappinfo", What::AppInfo),
];

const BAD_JSON: i32 = 60003;
const BAD_ACCOUNT: i32 = 60004;
const BAD_APP: i32 = 60006;
const NO_SUCH_PATH: i32 = 60009;
const NO_APP: i32 = 60012;

/// The services use different numbers for the same mistakes.
#[derive(Clone, Copy)]
struct Codes {
    not_admin: i32,
    bad_json: i32,
    failed: i32,
}

impl What {
    fn codes(self) -> Codes {
        match self {
            What::QueryOnlineStatus | What::QueryState => Codes {
                not_admin: 90009,
                bad_json: 90001,
                failed: 91000,
            },
            What::AppInfo => Codes {
                not_admin: 60010,
                bad_json: BAD_JSON,
                failed: code::SERVER_ERROR,
            },
            _ => Codes {
                not_admin: super::NOT_ADMIN,
                bad_json: BAD_JSON,
                failed: code::SERVER_ERROR,
            },
        }
    }
}

/// An answer with its additional fields.
#[derive(Serialize)]
struct Envelope<T> {
    #[serde(rename = "ActionStatus")]
    action_status: &'static str,
    #[serde(rename = "ErrorInfo")]
    error_info: String,
    #[serde(rename = "ErrorCode")]
    error_code: i32,
    #[serde(flatten)]
    more: T,
}

#[derive(Serialize)]
struct Nothing {}

fn envelope(code: i32, info: impl Into<String>, more: impl Serialize) -> Answer {
    let body = Envelope {
        action_status: if code == 0 { "OK" } else { "FAIL" },
        error_info: info.into(),
        error_code: code,
        more,
    };
    json(StatusCode::OK, &body)
}

fn ok(more: impl Serialize) -> Answer {
    envelope(0, "", more)
}

/// A request.
pub struct ReferenceRequest<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub query: &'a str,
    pub body: &'a [u8],
}

pub async fn answer(
    service: &Arc<Service>,
    from: IpAddr,
    request: &ReferenceRequest<'_>,
) -> Answer {
    let path = request.path;
    let what = PATHS.iter().find(|(known, _)| *known == path);
    let what = what.map(|(_, what)| *what);
    // A caller without permission does not learn which paths exist.
    let admin_id = match who_asks(service, from, what, request.query).await {
        Ok(admin_id) => admin_id,
        Err(refused) => {
            tracing::info!(%from, path, code = refused.code, "refused");
            return envelope(refused.code, refused.message, Nothing {});
        }
    };
    let takes = [Method::POST, Method::GET].contains(request.method);
    let result = match what.filter(|_| takes) {
        None => Err(Refused::new(NO_SUCH_PATH, "no such path")),
        Some(what) => does(service, &Operator { admin_id, from }, what, request.body).await,
    };
    result.unwrap_or_else(|refused| {
        let failed = [code::SERVER_ERROR, code::SERVER_OVERLOADED].contains(&refused.code);
        let code = match what {
            Some(what) if failed => what.codes().failed,
            _ => refused.code,
        };
        envelope(code, refused.message, Nothing {})
    })
}

async fn who_asks(
    service: &Service,
    from: IpAddr,
    what: Option<What>,
    query: &str,
) -> Result<String, Refused> {
    let app = query::value(query, "sdkappid")
        .ok_or_else(|| Refused::new(NO_APP, "sdkappid is missing in the query"))?;
    let app: u32 = app
        .parse()
        .map_err(|_| Refused::new(BAD_APP, "sdkappid: expected a number"))?;
    let admin_id = query::value(query, "identifier")
        .ok_or_else(|| Refused::new(BAD_ACCOUNT, "identifier is missing in the query"))?;
    let ticket = query::value(query, "usersig").unwrap_or_default();
    let refused = |refused: Refused| match refused.code {
        code::APP_NOT_FOUND => Refused::new(BAD_APP, refused.message),
        code::INVALID_USER_ID => Refused::new(BAD_ACCOUNT, refused.message),
        _ => refused,
    };
    let identified = service.identify(from, app, &admin_id, &ticket).await;
    identified.map_err(refused)?;
    if super::is_admin(service, &admin_id) {
        Ok(admin_id)
    } else {
        let code = what.map_or(super::NOT_ADMIN, |what| what.codes().not_admin);
        Err(Refused::new(code, "the identifier is not an administrator"))
    }
}

async fn does(
    service: &Arc<Service>,
    by: &Operator,
    what: What,
    body: &[u8],
) -> Result<Answer, Refused> {
    let bad_json = what.codes().bad_json;
    let body: Value = if body.trim_ascii().is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        serde_json::from_slice(body)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| Refused::new(bad_json, "the body is not a JSON object"))?
    };
    match what {
        What::Import => accounts::import(service, by, &body).await,
        What::ImportMany => accounts::import_many(service, by, &body).await,
        What::Check => accounts::check(service, &body).await,
        What::Delete => accounts::delete(service, by, &body).await,
        What::Kick => accounts::kick(service, by, &body).await,
        What::QueryOnlineStatus => states::query(service, &body, &states::ONLINE_STATUS).await,
        What::QueryState => states::query(service, &body, &states::STATE).await,
        What::AppInfo => figures::app_info(service, &body).await,
    }
}

/// Does the same for many users at once, and returns the results in order.
async fn for_each<T, F>(
    users: Vec<String>,
    does: impl Fn(String) -> F,
) -> Result<Vec<(String, T)>, Refused>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Refused>> + Send + 'static,
{
    let tasks: Vec<_> = users
        .into_iter()
        .map(|user_id| (user_id.clone(), tokio::spawn(does(user_id))))
        .collect();
    let mut results = Vec::with_capacity(tasks.len());
    for (user_id, task) in tasks {
        let failed = |_| Refused::new(code::SERVER_ERROR, "the server failed");
        results.push((user_id, task.await.map_err(failed)??));
    }
    Ok(results)
}
