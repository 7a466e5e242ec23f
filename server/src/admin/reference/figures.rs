//! Figures of the app, all of them strings.

use super::{Answer, ok};
use crate::refused::Refused;
use crate::service::Service;
use serde::Serialize;
use serde_json::{Map, Value};
use tim_proto::code;

const DAYS: u32 = 30;

#[derive(Serialize)]
struct AppInfo {
    #[serde(rename = "Result")]
    days: Vec<Map<String, Value>>,
}

/// The names that the request asks for; all where it names none.
fn wanted(body: &Value) -> Result<Option<Vec<&str>>, Refused> {
    let names = match body.get("RequestField") {
        None | Some(Value::Null) => return Ok(None),
        Some(names) => names.as_array(),
    };
    let names: Option<Vec<&str>> =
        names.and_then(|names| names.iter().map(Value::as_str).collect());
    match names {
        Some(names) if names.is_empty() => Ok(None),
        Some(names) => Ok(Some(names)),
        None => Err(Refused::new(
            code::BAD_REQUEST,
            "RequestField: expected a list of strings",
        )),
    }
}

/// The newest day comes first, and is not over yet.
pub async fn app_info(service: &Service, body: &Value) -> Result<Answer, Refused> {
    let wanted = wanted(body)?;
    let (today, figures) = service.figures(DAYS).await?;
    let days = (0..DAYS).map(|ago| {
        let day = today.before(ago);
        let of_day = figures.days.get(&day).copied().unwrap_or_default();
        let values = [
            ("Date", day.to_string()),
            ("ActiveUserNum", of_day.active.to_string()),
            ("LoginUserNum", of_day.active.to_string()),
            ("LoginTimes", of_day.tally.logins.to_string()),
            ("RegistUserNumOneDay", of_day.registered.to_string()),
            (
                "RegistUserNumTotal",
                figures.registered_until(day).to_string(),
            ),
            ("MaxOnlineNum", of_day.tally.online_max.to_string()),
        ];
        let is_wanted = |name: &str| {
            let named = wanted.as_ref().is_none_or(|wanted| wanted.contains(&name));
            named || name == "Date"
        };
        let values = values.into_iter().filter(|(name, _)| is_wanted(name));
        values
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect()
    });
    let days = days.collect();
    Ok(ok(AppInfo { days }))
}
