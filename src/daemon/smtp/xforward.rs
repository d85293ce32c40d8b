//! XFORWARD (XFORWARD_README): tells a content filter's server who the client was, so that its log names it.

use crate::ipc::delivery::Request;
use crate::proto::xtext;

/// Names with the attribute of the queue file that each hands on, by command.
const COMMANDS: [&[(&str, &str)]; 2] = [
    &[("NAME", "log_client_name"), ("ADDR", "log_client_address"), ("PORT", "log_client_port")],
    &[("PROTO", "log_protocol_name"), ("HELO", "log_helo_name"), ("IDENT", "log_ident"), ("SOURCE", "rewrite_context")],
];

/// Longest value.
const MAX_VALUE: usize = 255;

/// The commands for one message, of what the server offered after "XFORWARD".
pub fn commands(offered: &[String], request: &Request) -> Vec<String> {
    let attribute = |name: &str| request.attributes.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let value = |name: &str, from: &str| match (name, attribute(from)) {
        ("SOURCE", Some("local")) => "LOCAL".to_owned(),
        ("SOURCE", _) => "REMOTE".to_owned(),
        ("IDENT", None) => request.queue_id.clone(),
        (_, Some(value)) if value != "unknown" => xtext::encode(value.get(..MAX_VALUE).unwrap_or(value)),
        _ => "[UNAVAILABLE]".to_owned(),
    };
    let mut commands = Vec::new();
    for names in COMMANDS {
        let words: Vec<String> = names
            .iter()
            .filter(|(name, _)| offered.iter().any(|word| word.eq_ignore_ascii_case(name)))
            .map(|(name, from)| format!(" {name}={}", value(name, from)))
            .collect();
        if !words.is_empty() {
            commands.push(format!("XFORWARD{}", words.concat()));
        }
    }
    commands
}
