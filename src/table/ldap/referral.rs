//! Referrals: other servers that have the rest of an answer (RFC 4511, section 4.1.10, RFC 4516). They are followed
//! where the table says so (chase_referrals), as nobody in particular, as far as the reference's library does. One that
//! leads nowhere is an error: what is not known is not "not there".

use crate::table::query::percent_decoded;
use ldap3::Scope;

/// A referral's referrals.
pub const HOPS: u32 = 5;
/// Servers for one search.
pub const SERVERS: u32 = 20;

/// What is asked of another server: parts that the referral does not say stay as they were.
#[derive(Debug, PartialEq)]
pub struct Referral {
    /// Scheme, host and port.
    pub server: String,
    pub base: Option<String>,
    pub scope: Option<Scope>,
    pub filter: Option<String>,
}

impl Referral {
    pub fn parse(url: &str) -> Option<Referral> {
        let (scheme, rest) = url.split_once("://")?;
        if !["ldap", "ldaps"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return None;
        }
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut parts = path.split('?').map(|part| String::from_utf8(percent_decoded(part)).ok());
        let mut next = || Some(parts.next()??).filter(|part| !part.is_empty());
        let base = next();
        // Of the attributes those are asked for that the table needs.
        let (_, scope, filter) = (next(), next(), next());
        let scope = match scope.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("sub" | "subtree") => Some(Scope::Subtree),
            Some("one" | "onelevel") => Some(Scope::OneLevel),
            Some("base") => Some(Scope::Base),
            _ => None,
        };
        Some(Referral { server: format!("{scheme}://{host}"), base, scope, filter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_referrals() {
        let parse = |url| Referral::parse(url).unwrap();
        let bare = Referral { server: "ldap://h:7".into(), base: None, scope: None, filter: None };
        assert_eq!(parse("ldap://h:7"), bare);
        assert_eq!(
            parse("ldap://h:7/dc=a%20b??base?(uid=x)"),
            Referral { base: Some("dc=a b".into()), scope: Some(Scope::Base), filter: Some("(uid=x)".into()), ..bare }
        );
        assert!(Referral::parse("http://h/").is_none());
    }
}
