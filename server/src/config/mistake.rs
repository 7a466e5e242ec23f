//! Describes a mistake in a settings file without repeating its texts: a password may be anywhere,
//! even under the wrong key. Numbers and `true` are shown, texts are not.

/// The longest key name that is shown.
const NAME_MAX: usize = 40;
/// Replaces a text.
const HIDDEN: &str = "…";

/// Turns the parser's error, which quotes the line and may quote the value, into a safe message.
pub fn message(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let lines: Vec<String> = text.lines().map(without_texts).collect();
    lines.join("\n")
}

fn without_texts(line: &str) -> String {
    match line.split_once('|') {
        Some((number, quoted)) if is_number(number) => {
            format!("{number}| {}", key_and_number(quoted))
        }
        // A mark below a quoted line shows the place and its length.
        Some((margin, mark)) if margin.trim().is_empty() => match mark.find('^') {
            Some(at) => format!("{margin}|{}^", &mark[..at]),
            None => line.to_owned(),
        },
        _ => without_quotes(line),
    }
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A line of the file: its key, and its value if that is a number or a boolean.
fn key_and_number(line: &str) -> String {
    let line = line.trim();
    if let Some(section) = line
        .strip_prefix('[')
        .and_then(|line| line.strip_suffix(']'))
        && is_name(section)
    {
        return line.to_owned();
    }
    let Some((key, value)) = line.split_once('=') else {
        return HIDDEN.to_owned();
    };
    let key = Some(key.trim()).filter(|key| is_name(key));
    let value = Some(value.trim()).filter(|value| {
        let number = value.trim_start_matches('-');
        is_number(number) || matches!(*value, "true" | "false")
    });
    format!("{} = {}", key.unwrap_or(HIDDEN), value.unwrap_or(HIDDEN))
}

/// Whether this may be the name of a key, known or not.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    !text.is_empty() && text.len() <= NAME_MAX && text.chars().all(plain)
}

/// A sentence without the texts that it quotes. Key names are in back quotes; what was expected
/// comes last and is not from the file.
fn without_quotes(line: &str) -> String {
    let (found, expected) = line.split_at(line.rfind("expected").unwrap_or(line.len()));
    let found = match (found.find('"'), found.rfind('"')) {
        (Some(begin), Some(end)) if begin < end => {
            format!("{}\"{HIDDEN}\"{}", &found[..begin], &found[end + 1..])
        }
        _ => found.to_owned(),
    };
    let found = match (found.find('`'), found.rfind('`')) {
        (Some(begin), Some(end)) if begin < end => {
            let name = &found[begin + 1..end];
            // An unknown enum value looks like a name, too.
            let shown = is_name(name) && !found.starts_with("unknown variant");
            let name = if shown { name } else { HIDDEN };
            format!("{}`{name}`{}", &found[..begin], &found[end + 1..])
        }
        _ => found,
    };
    found + expected
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn an_error_names_the_key_and_line_and_never_repeats_the_files_text() {
        let password = "hunter2!Pass";
        for (line, named) in [
            (format!("store_password = \"{password}\""), "store_password"),
            (format!("secret_key = '{password}'"), "secret_key"),
            (format!("secret_key = {password}"), "secret_key"),
            (format!("heartbeat_ms = \"{password}\""), "heartbeat_ms"),
            (format!("policy = \"{password}\""), "single"),
            (format!("time_zone = \"{password}\""), "time_zone"),
            (format!("admins = \"{password}\""), "admins"),
            (format!("admins = [\"{password}\\n\"]"), "user id"),
            (format!("log_format = \"{password}\""), "log_format"),
            (format!("[limits]\n\"{password}\" = 1"), "connections"),
            (format!("instances = {{ \"{password}\" = 1 }}"), "instances"),
            (format!("store = \"redis://:{password}@host"), "store"),
            (format!("store = \"redis://:{password}@host\" x"), "store"),
            (format!("= \"{password}\""), "="),
            (format!("\"{password}\""), "line 2"),
        ] {
            let error = Config::parse(&format!("policy_of_nobody = 1\n{line}")).unwrap_err();
            assert!(!error.contains(password), "{line}: {error}");
            let error = Config::parse(&format!("drain_timeout_s = 1\n{line}")).unwrap_err();
            assert!(!error.contains(password), "{line}: {error}");
            assert!(error.contains(named) && error.contains("line "), "{error}");
        }
    }
}
