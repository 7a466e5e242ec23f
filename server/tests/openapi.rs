//! docs/openapi.json against the running server: each of its paths and methods answers as it says,
//! and each route of the server is in it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::{APP, Server, login, ticket};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const DOCUMENT: &str = include_str!("../../docs/openapi.json");

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

/// Method, path and operation of each.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let of_path = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().iter();
        let path = path.clone();
        let operations =
            methods.map(move |(method, what)| (method.to_uppercase(), path.clone(), what.clone()));
        operations.collect::<Vec<_>>()
    };
    paths.flat_map(of_path).collect()
}

/// Resolves a reference; returns anything else unchanged.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref") {
        Some(reference) => {
            let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
            document.pointer(pointer).unwrap()
        }
        None => value,
    }
}

/// Whether a value matches a schema: supports the part of JSON Schema that the document uses, and
/// panics on any other keyword.
fn check(document: &Value, schema: &Value, value: &Value, place: &str) {
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "description" => {}
            "$ref" => check(document, resolve(document, schema), value, place),
            "type" => {
                let types = rule
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![rule.clone()]);
                let found = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
                    Value::Number(_) => "number",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                assert!(
                    types.contains(&json!(found)),
                    "{place}: {found}, not {types:?}"
                );
            }
            "const" => assert_eq!(value, rule, "{place}"),
            "enum" => assert!(rule.as_array().unwrap().contains(value), "{place}: {value}"),
            "required" => {
                for name in rule.as_array().unwrap() {
                    let has_it = value.is_null() || value.get(name.as_str().unwrap()).is_some();
                    assert!(has_it, "{place}: no {name} in {value}");
                }
            }
            "properties" => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    let inner_place = format!("{place}.{name}");
                    let Some(schema) = rule.get(name) else {
                        panic!("{inner_place} is not described");
                    };
                    check(document, schema, inner, &inner_place);
                }
            }
            "items" => {
                for inner in value.as_array().unwrap() {
                    check(document, rule, inner, &format!("{place}[]"));
                }
            }
            other => panic!("{place}: the test does not know {other}"),
        }
    }
}

/// The path and query of an operation's examples.
fn target(document: &Value, path: &str, operation: &Value, ticket: &str) -> String {
    let mut target = path.to_owned();
    let mut query = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let parameter = resolve(document, parameter);
        let name = parameter["name"].as_str().unwrap();
        let example = match (name, &parameter["example"]) {
            ("sdkappid", _) => APP.to_string(),
            ("usersig", _) => ticket.to_owned(),
            (_, Value::String(text)) => text.replace(' ', "%20"),
            (_, number) => number.to_string(),
        };
        match parameter["in"].as_str().unwrap() {
            "path" => target = target.replace(&format!("{{{name}}}"), &example),
            _ => query.push(format!("{name}={example}")),
        }
    }
    if !query.is_empty() {
        target = format!("{target}?{}", query.join("&"));
    }
    target
}

/// Sends an operation's example and checks the answer against the document's entry for its status.
fn ask(
    server: &Server,
    document: &Value,
    (method, path, operation): &(String, String, Value),
    ticket: &str,
) -> (u16, Value) {
    let example = &operation["requestBody"]["content"]["application/json"]["example"];
    let body = match example {
        Value::Null => String::new(),
        example => example.to_string(),
    };
    if let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") {
        check(document, schema, example, &format!("{path}: the example"));
    }
    let length = body.len();
    let target = target(document, path, operation, ticket);
    let authorization = match operation["security"][0].get("ticket") {
        Some(_) if !ticket.is_empty() => format!("Authorization: Bearer {ticket}\r\n"),
        _ => String::new(),
    };
    let mut answer = server.send_admin(&format!(
        "{method} {target} HTTP/1.1\r\nHost: tim\r\n{authorization}Content-Length: {length}\r\n\r\n{body}"
    ));
    let status = answer.status;
    let response = resolve(document, &operation["responses"][status.to_string()]);
    let kind = answer.header("content-type").unwrap_or_default().to_owned();
    let schema = &response["content"][&kind]["schema"];
    assert!(
        schema.is_object(),
        "{method} {path}: {status} {kind} is not described"
    );
    let value = match kind.as_str() {
        "application/json" => answer.json(),
        _ => Value::String(answer.text()),
    };
    check(
        document,
        schema,
        &value,
        &format!("{method} {path} {status}"),
    );
    (status, value)
}

#[test]
fn the_document_has_the_routes_of_the_server_and_no_others() {
    let document = document();
    let described: BTreeSet<(String, String)> = operations(&document)
        .into_iter()
        .map(|(method, path, _)| (method, path))
        .collect();
    let served = tim_server::admin::routes();
    let served: BTreeSet<(String, String)> = served
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(described, served);
}

#[test]
fn each_operation_is_answered_as_it_is_described_and_only_to_administrators() {
    let document = document();
    let server = Server::with_faults("");
    let ticket = ticket("administrator", 3600);
    let alice = json!({"UserID": "alice"});
    let mut stream = server.log_in(&login("alice", 1, 1, 1));
    for (turn, operation) in (2..).zip(operations(&document)) {
        let name = operation.2["operationId"].as_str().unwrap().to_owned();
        // Creates what the operation needs.
        server.reference("im_open_login_svc/account_import", &alice);
        if name == "liftBan" {
            server.own("PUT", "/v1/users/alice/ban", "{}");
        }
        if operation.1.starts_with("/v1/faults/") {
            stream = server.log_in(&login("alice", 1, turn, turn));
        }
        let (status, value) = ask(&server, &document, &operation, &ticket);
        assert_eq!(status, 200, "{name}: {value}");
        let code = value.get("ErrorCode").cloned().unwrap_or(json!(0));
        assert_eq!(code, 0, "{name}: {value}");
        server.own("DELETE", "/v1/faults", "");

        let (status, value) = ask(&server, &document, &operation, "");
        let is_public = operation.2["security"] == json!([]);
        match value.get("ErrorCode") {
            Some(code) => assert_eq!(code, 70002, "{name}"),
            None => assert_eq!(status, if is_public { 200 } else { 401 }, "{name}"),
        }
    }
    drop(stream);
}
