//! What happens to a refusal on its way out: soft_bounce, and the lines of smtpd_reject_footer.

use super::session::Session;
use super::stream::Duplex;
use crate::conf::expand::expand;
use crate::status::Code;

/// "550 5.1.1 ..." becomes "450 4.1.1 ...".
pub fn soften(reply: &mut String) {
    reply.replace_range(..1, "4");
    if Code::split(reply.get(4..).unwrap_or_default()).is_some() {
        reply.replace_range(4..5, "4");
    }
}

/// The reply with its footer as more lines, or on the same line after "\c".
pub fn with_footer<S: Duplex>(session: &Session<S>, reply: String) -> String {
    let settings = &session.settings;
    let own = match settings.footer_maps.find_text(&reply) {
        Ok(own) => own,
        Err(error) => {
            session.log.warning(error.to_string());
            None
        }
    };
    let template = own.unwrap_or_else(|| settings.footer.clone());
    if template.is_empty() {
        return reply;
    }
    filled(&reply, &template, &|name| {
        Some(match name {
            "client" => session.peer.shown(),
            "client_address" => session.peer.address_name(),
            "client_name" => session.peer.name.clone(),
            "client_port" => session.peer.port.to_string(),
            "reverse_client_name" => session.peer.reverse.clone(),
            "server_name" => settings.myhostname.clone(),
            "helo_name" => session.helo.clone()?,
            "sender" => session.transaction.sender.clone()?,
            "localtime" => jiff::Zoned::now().strftime("%b %d %H:%M:%S").to_string(),
            _ => return None,
        })
    })
}

/// The reply with the footer that a template gives; `lookup` knows its names.
pub fn filled(reply: &str, template: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let text = expand(template, &|name| lookup(name).map(|value| value.replace('$', "$$"))).unwrap_or_default();
    compose(reply, &text)
}

fn compose(reply: &str, footer: &str) -> String {
    let code = reply.get(..3).unwrap_or_default();
    let dsn = Code::split(reply.get(4..).unwrap_or_default()).map(|(dsn, _)| format!("{dsn} ")).unwrap_or_default();
    let (same_line, rest) = match footer.strip_prefix("\\c") {
        Some(rest) => {
            let (first, rest) = rest.split_once("\\n").map_or((rest, None), |(first, rest)| (first, Some(rest)));
            (first, rest)
        }
        None => ("", Some(footer)),
    };
    let mut lines = vec![format!("{}{same_line}", reply.get(4..).unwrap_or_default())];
    lines.extend(rest.into_iter().flat_map(|rest| rest.split("\\n")).map(|line| format!("{dsn}{line}")));
    let last = lines.len() - 1;
    let mark = |at: usize| if at == last { ' ' } else { '-' };
    lines.iter().enumerate().map(|(at, line)| format!("{code}{}{line}", mark(at))).collect::<Vec<_>>().join("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn footers_are_lines_of_the_reply() {
        assert_eq!(compose("550 5.1.1 No", "Ask us"), "550-5.1.1 No\r\n550 5.1.1 Ask us");
        assert_eq!(compose("550 5.1.1 No", "a\\nb"), "550-5.1.1 No\r\n550-5.1.1 a\r\n550 5.1.1 b");
        assert_eq!(compose("550 5.1.1 No", "\\c. Ask"), "550 5.1.1 No. Ask");
        assert_eq!(compose("501 Syntax", "Ask"), "501-Syntax\r\n501 Ask");
        let mut reply = "550 5.1.1 No".to_owned();
        soften(&mut reply);
        assert_eq!(reply, "450 4.1.1 No");
    }
}
