//! How 1.3.0 shortens what is said of deliveries and in warnings, so that lines which differ only by a host, an
//! address or a number count as one.

use super::text::{self, find, peer, split_once};
use crate::log::line::digits;
use memchr::{memchr, memrchr};
use std::borrow::Cow;

/// The longest reason of a delivery that failed, whatever the width.
const LONGEST: usize = 66;

/// A relay as it is listed: "none" stays, and what is no host ("local", "virtual") is unknown.
pub fn relay_host(relay: &[u8]) -> &[u8] {
    if relay == b"none" { relay } else { peer(relay) }
}

/// Why a delivery was put off: whose fault it is and the rest of the reason.
pub fn deferral<'a>(reason: &'a [u8], relay: &'a [u8]) -> (&'a [u8], Cow<'a, [u8]>) {
    if let Some((_, rest)) = split_once(reason, b"connect to ")
        && let Some((host, why)) = host_and_rest(rest)
        && let Some(why) = why.strip_prefix(b": ")
    {
        return (peer(host), text::cut(why, LONGEST));
    }
    for begin in [b"lost connection with ".as_slice(), b"conversation with "] {
        if let Some((before, rest)) = split_once(reason, begin)
            && let Some((host, why)) = host_and_rest(rest)
        {
            let what = begin.strip_suffix(b" with ").unwrap_or(begin);
            return (peer(host), cut(Cow::Owned([before, what, why].concat()), LONGEST));
        }
    }
    // What is put off without a try names the host only in the text.
    let host = match (peer(relay), split_once(reason, b"host ").and_then(|(_, rest)| host_and_rest(rest))) {
        (b"unknown", Some((host, _))) => peer(host),
        (host, _) => host,
    };
    (host, cut(without_name(said(reason)), LONGEST))
}

/// "name[address]:port" and what follows.
fn host_and_rest(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let close = memchr(b']', text)?;
    let host = text.get(..=close)?;
    if host.contains(&b' ') {
        return None;
    }
    let rest = text.get(close + 1..)?;
    let port = rest.strip_prefix(b":").map_or(0, |port| match digits(port) {
        0 => 0,
        length => length + 1,
    });
    Some((host, rest.get(port..)?))
}

/// Why a message bounced.
pub fn bounce(reason: &[u8]) -> Cow<'_, [u8]> {
    text::cut(said(reason), LONGEST)
}

/// What the other side said, without the reply code; else the reason as it is.
fn said(reason: &[u8]) -> &[u8] {
    let said = text::after_last(reason, b" said: ");
    let said = said.or_else(|| split_once(reason, b" refused to talk to me: ").map(|(_, said)| said));
    without_code(said.unwrap_or(reason))
}

/// A failed look-up without the name.
fn without_name(rest: &[u8]) -> Cow<'_, [u8]> {
    if let Some((before, name)) = split_once(rest, b"Name service error for name=")
        && before.ends_with(b"not found. ")
        && let Some(blank) = memchr(b' ', name)
    {
        return Cow::Owned([b"Name service error", &name[blank..]].concat());
    }
    Cow::Borrowed(rest)
}

/// Without "450 ", "450 4.2.0 " or "550-5.1.1 ".
fn without_code(text: &[u8]) -> &[u8] {
    if digits(text) != 3 {
        return text;
    }
    let rest = &text[3..];
    let (separator, after) = match rest.split_first() {
        Some((&byte @ (b' ' | b'-'), after)) => (byte, after),
        _ => return text,
    };
    let status = after.iter().position(|byte| !(byte.is_ascii_digit() || *byte == b'.')).unwrap_or(after.len());
    let dots = after[..status].iter().filter(|&&byte| byte == b'.').count();
    if dots == 2 && after.get(status) == Some(&b' ') {
        return &after[status + 1..];
    }
    if separator == b' ' { after } else { text }
}

/// Up to `limit` bytes with "..." at a cut.
pub fn cut(text: Cow<'_, [u8]>, limit: usize) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => text::cut(text, limit),
        Cow::Owned(owned) => Cow::Owned(text::cut(&owned, limit).into_owned()),
    }
}

/// A warning without host, address and what a client sent.
pub fn warning(text: &[u8]) -> Cow<'_, [u8]> {
    let known = |text: &'static [u8]| Cow::Borrowed(text);
    if let Some((client, failure)) = split_once(text, b": SASL ")
        && let Some(mechanism) = memchr(b' ', failure)
        && failure[..mechanism].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'-')
        && let Some(why) = failure[mechanism..].strip_prefix(b" authentication failed")
        && client.ends_with(b"]")
        && !client.contains(&b' ')
    {
        let kept = if why.starts_with(b": Invalid authentication mechanism") { why } else { b"" };
        return Cow::Owned([b"SASL ", &failure[..mechanism], b" authentication failed", kept].concat());
    }
    if let Some((_, host)) = split_once(text, b": address not listed for hostname ")
        && !host.contains(&b' ')
    {
        return known(b"address not listed for hostname");
    }
    if let Some((_, rest)) = split_once(text, b": hostname ")
        && let Some((host, _)) = split_once(rest, b" verification failed: ")
        && !host.contains(&b' ')
    {
        return known(b"hostname verification failed");
    }
    if text.starts_with(b"hostname ")
        && let Some((_, address)) = split_once(text, b" does not resolve to address ")
        && !address.contains(&b' ')
    {
        return known(b"hostname does not resolve to address");
    }
    if let Some(from) = text.strip_prefix(b"non-SMTP command from ")
        && let Some((_, command)) = split_once(from, b": ")
        && let Some(end) = memchr(b' ', command)
    {
        return Cow::Owned([b"non-SMTP command: ", &command[..end]].concat());
    }
    if let Some(from) = text.strip_prefix(b"Illegal address syntax from ")
        && let Some((_, place)) = split_once(from, b" in ")
        && let Some((command, _)) = split_once(place, b" command")
    {
        return Cow::Owned([b"Illegal address syntax in ", command, b" command"].concat());
    }
    for known in
        [b"malformed domain name in resource data of MX record".as_slice(), b"valid_hostname: invalid character"]
    {
        if text.starts_with(known) {
            return Cow::Borrowed(known);
        }
    }
    if let Some((_, what)) = split_once(text, b": ")
        && what == b"queue file size limit exceeded"
    {
        return known(b"queue file size limit exceeded");
    }
    Cow::Borrowed(text)
}

/// Whether a warning is about a client's name.
pub fn is_about_names(text: &[u8]) -> bool {
    find(text, b"address not listed for hostname").is_some()
        || find(text, b"does not resolve to address").is_some()
        || find(text, b": hostname ").is_some_and(|_| find(text, b" verification failed").is_some())
}

/// "SRS0=hash=time=domain=user@forwarder" as "user@domain"; "SRS1=hash=first==..." likewise.
pub fn without_srs(address: &[u8]) -> Option<Vec<u8>> {
    let at = memrchr(b'@', address)?;
    let local = &address[..at];
    let tagged = |tag: &[u8]| local.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    let rest = if tagged(b"SRS0") {
        &local[4..]
    } else if tagged(b"SRS1") {
        split_once(local, b"==").map(|(_, rest)| rest)?
    } else {
        return None;
    };
    // hash, time, domain, user
    let rest =
        rest.strip_prefix(b"=").or_else(|| rest.strip_prefix(b"+")).or_else(|| rest.strip_prefix(b"-")).unwrap_or(rest);
    let mut parts = rest.splitn(4, |&byte| byte == b'=');
    let (_, _, domain, user) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (!domain.is_empty() && !user.is_empty()).then(|| [user, b"@", domain].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: impl AsRef<[u8]>) -> String {
        String::from_utf8_lossy(bytes.as_ref()).into_owned()
    }

    #[test]
    fn deferrals_name_the_host_once() {
        for (reason, relay, host, why) in [
            ("connect to mx.a.example[192.0.2.1]:25: Connection refused", "none", "mx.a.example", "Connection refused"),
            ("connect to h[2001:db8::1]:25: No route to host", "none", "2001:db8::1", "No route to host"),
            (
                "delivery temporarily suspended: lost connection with mx.a.example[192.0.2.1] while sending RCPT TO",
                "none",
                "mx.a.example",
                "delivery temporarily suspended: lost connection while sending R...",
            ),
            (
                "conversation with mx.a.example[192.0.2.1] timed out while sending MAIL FROM",
                "mx.a.example[192.0.2.1]:25",
                "mx.a.example",
                "conversation timed out while sending MAIL FROM",
            ),
            (
                "host mx.a.example[192.0.2.1] said: 450 4.2.0 later ",
                "mx.a.example[192.0.2.1]:25",
                "mx.a.example",
                "later ",
            ),
            ("host mx.a.example[192.0.2.1] refused to talk to me: 421 busy", "none", "mx.a.example", "busy"),
            ("unknown mail transport error", "virtual", "unknown", "unknown mail transport error"),
            (
                "Host or domain name not found. Name service error for name=x.example type=MX: Host not found, try again",
                "none",
                "unknown",
                "Name service error type=MX: Host not found, try again",
            ),
        ] {
            let (found, said) = deferral(reason.as_bytes(), relay.as_bytes());
            assert_eq!((text(found), text(said)), (host.to_owned(), why.to_owned()), "{reason}");
        }
    }

    #[test]
    fn bounces_lose_the_code_and_keep_the_rest() {
        assert_eq!(text(bounce(b"host mx.a.example[192.0.2.1] said: 550-5.1.1 no such user")), "no such user");
        assert_eq!(text(bounce(b"host mx.a.example[192.0.2.1] said: 451-You wait")), "451-You wait");
        assert_eq!(text(bounce(b"unknown user: \"x\"")), "unknown user: \"x\"");
        assert_eq!(text(relay_host(b"none")), "none");
        assert_eq!(text(relay_host(b"dotless[192.0.2.1]:25")), "192.0.2.1");
        assert_eq!(text(relay_host(b"virtual")), "unknown");
    }

    #[test]
    fn warnings_that_differ_by_a_client_are_one() {
        for (line, want) in [
            (
                "h.example[192.0.2.1]: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
                "SASL LOGIN authentication failed",
            ),
            (
                "h[192.0.2.1]:5: SASL LOGIN authentication failed: x",
                "h[192.0.2.1]:5: SASL LOGIN authentication failed: x",
            ),
            ("192.0.2.1: address not listed for hostname h.example", "address not listed for hostname"),
            ("hostname h.example does not resolve to address 192.0.2.1", "hostname does not resolve to address"),
            ("non-SMTP command from h[192.0.2.1]: GET / HTTP/1.1", "non-SMTP command: GET"),
            (
                "Illegal address syntax from h[192.0.2.1] in RCPT command: <a@>",
                "Illegal address syntax in RCPT command",
            ),
            ("4F1A: queue file size limit exceeded", "queue file size limit exceeded"),
            ("valid_hostname: invalid character 92(decimal): x", "valid_hostname: invalid character"),
            ("something else", "something else"),
        ] {
            assert_eq!(text(warning(line.as_bytes())), want);
        }
    }

    #[test]
    fn rewritten_senders_are_turned_back() {
        assert_eq!(without_srs(b"SRS0=ab=CD=d.example=z@srs.example"), Some(b"z@d.example".to_vec()));
        assert_eq!(without_srs(b"SRS1=xx=first.example==ab=CD=d.example=z@srs.example"), Some(b"z@d.example".to_vec()));
        assert_eq!(without_srs(b"z@d.example"), None);
    }
}
