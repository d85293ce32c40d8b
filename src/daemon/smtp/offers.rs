//! What a server offers in its answer to EHLO or LHLO (RFC 5321 section 4.1.1.1), less what is not to be believed
//! (smtp_discard_ehlo_keywords).

use crate::log::Log;
use crate::proto::smtp_reply::Reply;
use crate::table::{Maps, TableError};
use std::net::IpAddr;

/// smtp_discard_ehlo_keywords and the table that overrides it for some hosts.
pub struct Discards {
    pub all: String,
    pub by_address: Maps,
}

/// In the order in which the log names them.
const KEYWORDS: &[&str] = &[
    "8BITMIME",
    "PIPELINING",
    "SIZE",
    "VRFY",
    "ETRN",
    "AUTH",
    "VERP",
    "STARTTLS",
    "XCLIENT",
    "XFORWARD",
    "ENHANCEDSTATUSCODES",
    "DSN",
    "SMTPUTF8",
    "CHUNKING",
];
const SILENT: &str = "silent-discard";

impl Discards {
    /// The keywords that are not to be believed of a host; told in the log. Other words mean nothing, as there.
    pub fn of(&self, address: Option<IpAddr>, log: &Log) -> Result<Vec<&'static str>, TableError> {
        let own = match address {
            Some(address) => self.by_address.find_text(&address.to_string())?,
            None => None,
        };
        let list = own.as_deref().unwrap_or(&self.all);
        let words: Vec<&str> = list.split([' ', '\t', '\r', '\n', ',']).filter(|word| !word.is_empty()).collect();
        let has = |name: &str| words.iter().any(|word| word.eq_ignore_ascii_case(name));
        let discarded: Vec<&str> = KEYWORDS.iter().copied().filter(|keyword| has(keyword)).collect();
        if !discarded.is_empty() && !has(SILENT) {
            log.info(format!("discarding EHLO keywords: {}", discarded.join(" ")));
        }
        Ok(discarded)
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Offers {
    pub pipelining: bool,
    pub eight_bit: bool,
    pub size: bool,
    pub dsn: bool,
    pub starttls: bool,
    /// What may be told of the client before.
    pub xforward: Vec<String>,
    /// The lists of mechanisms, one for each line that has one.
    pub auth: Vec<Vec<String>>,
}

impl Offers {
    /// Keywords are compared without case, and may have "=" behind them: an old draft of AUTH had.
    pub fn read(reply: &Reply, discarded: &[&str]) -> Offers {
        let mut offers = Offers::default();
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            if discarded.contains(&keyword.as_str()) {
                continue;
            }
            let rest = line.get(keyword.len()..).unwrap_or_default().trim_start_matches([' ', '\t', '=']);
            let words = || rest.split_whitespace().map(str::to_owned).collect();
            match keyword.as_str() {
                "PIPELINING" => offers.pipelining = true,
                "8BITMIME" => offers.eight_bit = true,
                "SIZE" => offers.size = true,
                "DSN" => offers.dsn = true,
                "STARTTLS" => offers.starttls = true,
                "XFORWARD" => offers.xforward = words(),
                "AUTH" => offers.auth.push(words()),
                _ => {}
            }
        }
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_and_believed() {
        let lines =
            ["server", "pipelining", "AUTH PLAIN LOGIN", "AUTH=LOGIN", "XFORWARD NAME ADDR", "STARTTLS", "AUTH"];
        let reply = Reply { code: 250, lines: lines.map(str::to_owned).to_vec() };
        let offers = Offers::read(&reply, &["STARTTLS"]);
        assert!(offers.pipelining && !offers.starttls && !offers.dsn);
        assert_eq!(offers.auth, [vec!["PLAIN".to_owned(), "LOGIN".into()], vec!["LOGIN".into()], vec![]]);
        assert_eq!(offers.xforward, ["NAME", "ADDR"]);
        let discards = |text: &str| {
            let by_address = Maps::open("t", "inline:{{192.0.2.1=dsn}}", &crate::table::Options::default());
            let discards = Discards { all: text.to_owned(), by_address };
            let of = |address: &str| discards.of(address.parse().ok(), &Log::nowhere()).unwrap();
            (of("192.0.2.2"), of("192.0.2.1"))
        };
        assert_eq!(discards("starttls, pipelining silent-discard"), (vec!["PIPELINING", "STARTTLS"], vec!["DSN"]));
    }
}
