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
    match relay.strip_prefix(b"none") {
        Some([]) => relay,
        Some([b':', port @ ..]) if !port.is_empty() && digits(port) == port.len() => b"none",
        _ => peer(relay),
    }
}

/// Why a delivery was put off: whose fault it is and the rest of the reason.
pub fn deferral(reason: &[u8]) -> (&[u8], Cow<'_, [u8]>) {
    let (host, why) = blamed(reason).unwrap_or((b"unknown", Cow::Borrowed(reason)));
    let why = match why {
        Cow::Borrowed(why) => said(why),
        Cow::Owned(why) => Cow::Owned(said(&why).into_owned()),
    };
    (relay_host(host), why)
}

/// The host in a reason, and the reason without it.
fn blamed(reason: &[u8]) -> Option<(&[u8], Cow<'_, [u8]>)> {
    if let Some(rest) = reason.strip_prefix(b"host ")
        && let Some((host, rest)) = rest.split_at_checked(text::run(rest)).filter(|(host, _)| !host.is_empty())
        && let Some(why) =
            [b" said: ".as_slice(), b" refused to talk to me: "].iter().find_map(|word| rest.strip_prefix(*word))
    {
        let why = why.get(..memchr(b'(', why).unwrap_or(why.len())).unwrap_or_default();
        return (!why.is_empty()).then_some((host, Cow::Borrowed(why)));
    }
    let try_now = reason.strip_prefix(b"delivery temporarily suspended: ").unwrap_or(reason);
    if let Some((host, why)) = try_now.strip_prefix(b"connect to ").and_then(|rest| split_once(rest, b": ")) {
        return (!host.is_empty() && !why.is_empty()).then_some((host, Cow::Borrowed(why)));
    }
    for begin in [b"cannot append to file ".as_slice(), b"cannot update mailbox "] {
        if let Some(rest) = reason.strip_prefix(begin)
            && let Some(end) = rest.iter().position(|byte| matches!(byte, b':' | b'.')).filter(|&end| end > 0)
            && let Some(why) = rest[end + 1..].strip_prefix(b" ").filter(|why| !why.is_empty())
        {
            return Some((&rest[..end], Cow::Borrowed(why)));
        }
    }
    const SERVICE: &[u8] = b"Name service error for ";
    if let Some(rest) = text::after_last(reason, SERVICE) {
        let rest = [b"domain ".as_slice(), b"name="].iter().find_map(|word| rest.strip_prefix(*word)).unwrap_or(rest);
        let end = rest.iter().position(|byte| matches!(byte, b':' | b' ')).filter(|&end| end > 0)?;
        let why = rest[end..].strip_prefix(b":").unwrap_or(&rest[end..]).strip_prefix(b" ")?;
        return Some((&rest[..end], Cow::Owned([b"Name service error ", why].concat())));
    }
    for begin in [b"conversation ".as_slice(), b"lost connection "] {
        if let Some(rest) = reason.strip_prefix(begin).and_then(|rest| rest.strip_prefix(b"with "))
            && let (host, rest) = rest.split_at(text::run(rest))
            && let Some(why) = rest.strip_prefix(b" ")
            && let doing = why.strip_prefix(b"timed out ").unwrap_or(why)
            && [b"while receiving ".as_slice(), b"while sending "].iter().any(|word| doing.starts_with(word))
        {
            return Some((host, Cow::Owned([begin, why].concat())));
        }
    }
    None
}

/// A reason without its reply code, shortened from the left to what the other side said.
pub fn said(reason: &[u8]) -> Cow<'_, [u8]> {
    const KNOWN: [&[u8]; 4] = [b"delivery error:", b"Requested action not taken:", b"Transaction failed:", b"RCPT TO:"];
    let code = reply_code(reason).filter(|&length| reason.get(length) == Some(&b' '));
    let mut rest = code.map_or(reason, |length| &reason[length + 1..]);
    while rest.len() > LONGEST {
        let last = memchr::memmem::rfind_iter(rest, b" said:").find_map(|at| {
            let after = &rest[at + b" said:".len()..];
            let coded =
                after.strip_prefix(b" ").and_then(|text| reply_code(text).and_then(|length| text.get(length..)));
            coded.and_then(|tail| tail.strip_prefix(b" ")).or_else(|| after.strip_prefix(b" "))
        });
        if let Some(said) = last {
            rest = said;
        } else if KNOWN.iter().any(|known| find(rest, known).is_some())
            && let Some(colon) = memchr(b':', rest)
        {
            let after = &rest[colon + 1..];
            rest = &after[after.iter().take_while(|&&byte| byte == b' ').count()..];
        } else {
            return text::cut(rest, LONGEST);
        }
    }
    Cow::Borrowed(rest)
}

/// How long the reply code is that a text begins with: "450", "450 4.2.0", "550-5.1.1", "550 #5.1.1".
fn reply_code(text: &[u8]) -> Option<usize> {
    let (code, rest) = text.split_first_chunk::<3>().filter(|(code, _)| code.iter().all(u8::is_ascii_digit))?;
    let enhanced = match rest {
        [b' ' | b'-', b'#', status @ ..] => Some((2, status)),
        [b' ' | b'-', status @ ..] => Some((1, status)),
        _ => None,
    };
    let status = enhanced.filter(|(_, status)| {
        matches!(status, [a, b'.', b, b'.', c, ..] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()))
    });
    Some(status.map_or(code.len(), |(before, _)| code.len() + before + 5))
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
    shortened(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The text between `begin` and the last `end`, if it has something; and what follows.
fn around<'a>(text: &'a [u8], begin: &[u8], end: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let rest = text.strip_prefix(begin)?;
    let at = memchr::memmem::rfind(rest, end).filter(|&at| at > 0)?;
    Some((&rest[..at], &rest[at + end.len()..]))
}

/// Characters of an address, whose letters are capitals in the reference's rules.
fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'A'..=b'F' | b':' | b'.'))
}

fn shortened(text: &[u8]) -> Option<Vec<u8>> {
    const NOT_FOUND: &[u8] = b": Host not found";
    const NO_RESOLVE: &[u8] = b" does not resolve to address ";
    const NO_NODE: &[u8] = b": hostname nor servname provided, or not known";
    const NO_ADDRESS: &[u8] = b": No address associated with hostname";
    for host in [b"Unable to look up MX host".as_slice(), b"Unable to look up NS host"] {
        if let Some((_, after)) = around(text, &[host, b" for "].concat(), NOT_FOUND) {
            return Some([host, NOT_FOUND, after].concat());
        }
    }
    if let Some((_, address)) = around(text, b"hostname ", NO_RESOLVE)
        && is_number(address)
    {
        return Some(b"hostname does not resolve to address".to_vec());
    }
    if text.ends_with(NO_NODE)
        && around(text.strip_suffix(NO_NODE)?, b"hostname ", NO_RESOLVE).is_some_and(|(_, rest)| !rest.is_empty())
    {
        return Some([b"hostname does not resolve to address", NO_NODE].concat());
    }
    for host in [b"Unable to look up MX host ".as_slice(), b"Unable to look up NS host "] {
        for end in [NO_NODE, NO_ADDRESS] {
            for whose in [b"for Sender address".as_slice(), b"for Client host", b"for Helo command"] {
                let Some(inner) = text.strip_suffix(end) else { continue };
                if around(inner, host, &[b" ", whose, b" "].concat()).is_some_and(|(_, rest)| !rest.is_empty()) {
                    return Some([host, whose, end].concat());
                }
            }
        }
    }
    // What begins so says nothing more that counts.
    const HEADS: [(&[u8], &[u8]); 5] = [
        (b"malformed domain name in resource data of MX record", b" for "),
        (b"numeric domain name in resource data of MX record", b" for "),
        (b"numeric domain name in resource data of NS record", b" for "),
        (b"numeric hostname", b": "),
        (b"valid_hostname: invalid character", b" "),
    ];
    for (head, after) in HEADS {
        if text.strip_prefix(head).is_some_and(|rest| rest.starts_with(after)) {
            return Some(head.to_vec());
        }
    }
    const NOT_LISTED: &[u8] = b"address not listed for hostname";
    if let Some((number, rest)) = split_once(text, b" ")
        && is_number(number)
    {
        if rest.strip_prefix(NOT_LISTED).is_some_and(|rest| rest.starts_with(b" ")) {
            return Some(NOT_LISTED.to_vec());
        }
        const FAILED: &[u8] = b"verification failed: No address associated with hostname";
        if rest
            .strip_prefix(b"hostname ")
            .is_some_and(|rest| rest.ends_with(&[b" ", FAILED].concat()) && rest.len() > FAILED.len() + 1)
        {
            return Some([b"hostname ", FAILED].concat());
        }
    }
    const TOO_LARGE: &[u8] = b"queue file size limit exceeded";
    if let Some((id, TOO_LARGE)) = split_once(text, b": ")
        && id.iter().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte))
        && !id.is_empty()
    {
        return Some(TOO_LARGE.to_vec());
    }
    if let Some((_, failure)) =
        split_once(text, b": ").filter(|(client, _)| !client.is_empty() && !client.contains(&b':'))
    {
        for mechanism in [b"SASL LOGIN".as_slice(), b"SASL PLAIN", b"SASL CRAM-MD5"] {
            const FAILED: &[u8] = b" authentication failed";
            const INVALID: &[u8] = b": Invalid authentication mechanism";
            if let Some(why) = failure.strip_prefix(mechanism).and_then(|rest| rest.strip_prefix(FAILED)) {
                let kept = if why.starts_with(INVALID) { INVALID } else { b"" };
                return Some([mechanism, FAILED, kept].concat());
            }
        }
    }
    for place in [b"in MAIL command".as_slice(), b"in RCPT command"] {
        if around(text, b"Illegal address syntax from ", &[b" ", place, b": "].concat()).is_some() {
            return Some([b"Illegal address syntax ", place].concat());
        }
    }
    if let Some(from) = text.strip_prefix(b"non-SMTP command from ") {
        // The first command that something follows.
        let found = memchr::memmem::find_iter(from, b": ").filter(|&at| at > 0).find_map(|at| {
            let command = &from[at + 2..];
            let length = text::run(command);
            (length > 0 && length < command.len() && command[length] == b' ').then(|| &command[..length])
        });
        return found.map(|command| [b"non-SMTP command: ", command].concat());
    }
    if let Some(rest) = text.strip_prefix(b"Connection concurrency limit exceeded: ")
        && let count = digits(rest)
        && let Some(from) = rest[count..].strip_prefix(b" from ").filter(|_| count > 0)
        && let Some(service) =
            from[text::run(from)..].strip_prefix(b" ").filter(|rest| rest.starts_with(b"for service "))
    {
        return Some([b"Connection concurrency limit exceeded: ", &rest[..count], b" ", service].concat());
    }
    let is_name =
        |text: &[u8]| !text.is_empty() && text.iter().all(|&byte| text::is_word(byte) || matches!(byte, b'.' | b'-'));
    const LOOKUP: &[u8] = b"RBL lookup error: Host or domain name not found. Name service error ";
    if let Some((list, rest)) = split_once(text, b": ")
        && let Some(name) = rest.strip_prefix(LOOKUP).and_then(|rest| rest.strip_prefix(b"for name="))
        && let Some((name, tail)) = split_once(name, b" ")
        && is_name(list)
        && is_name(name)
        && tail.starts_with(b"type=")
        && tail.ends_with(b": Host not found, try again")
    {
        return Some([LOOKUP, tail].concat());
    }
    const POLICY: &[u8] = b"policyd-spf-perl: process ";
    const TIMED_OUT: &[u8] = b"command time limit exceeded";
    if let Some((_, id)) = around(&[b" ", text].concat(), b" ", &[POLICY, b"id "].concat())
        && let Some((id, TIMED_OUT)) = split_once(id, b": ")
        && digits(id) == id.len()
    {
        return Some([POLICY, TIMED_OUT].concat());
    }
    let at = memchr::memmem::rfind_iter(text, b" pid ").find(|&at| {
        let number = &text[at + 5..];
        let rest = &number[digits(number)..];
        let status = rest.strip_prefix(b" exit status ").filter(|_| rest.len() < number.len());
        status.is_some_and(|status| digits(status) > 0) && find(&text[..at], b"process ").is_some()
    })?;
    let number = &text[at + 5..];
    Some([&text[..at], &number[digits(number)..]].concat())
}

/// "SRS0=hash=time=domain=user@forwarder" as "user@domain", also through several forwarders.
pub fn without_srs(address: &[u8]) -> Option<Vec<u8>> {
    let is_domain = |text: &[u8]| !text.is_empty() && text.iter().all(|&byte| text::is_word(byte) || byte == b'.');
    let (local, forwarder) = address.split_at(memrchr(b'@', address)?);
    let [s, r, s2, b'0' | b'1', b'=' | b'+' | b'-', rest @ ..] = local else { return None };
    if ![*s, *r, *s2].eq_ignore_ascii_case(b"SRS") || !is_domain(forwarder.get(1..)?) {
        return None;
    }
    // As many "hash=domain==" as there are, then "hash=time=", and all of it again with fewer when that does not go on.
    let mut starts = vec![rest];
    while let Some(&last) = starts.last()
        && let Some((hash, tail)) = split_once(last, b"=")
        && let Some((domain, tail)) = split_once(tail, b"==")
        && !hash.is_empty()
        && is_domain(domain)
    {
        starts.push(tail);
    }
    starts.into_iter().rev().find_map(|rest| {
        let mut parts = rest.splitn(4, |&byte| byte == b'=');
        let (hash, time, domain, user) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let whole = !hash.is_empty() && !time.is_empty() && !user.is_empty() && is_domain(domain);
        whole.then(|| [user, b"@", domain].concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: impl AsRef<[u8]>) -> String {
        String::from_utf8_lossy(bytes.as_ref()).into_owned()
    }

    #[test]
    fn deferrals_name_the_host_once() {
        for (reason, host, why) in [
            ("connect to mx.a.example[192.0.2.1]:25: Connection refused", "mx.a.example", "Connection refused"),
            ("connect to h[2001:db8::1]:25: No route to host", "2001:db8::1", "No route to host"),
            (
                "delivery temporarily suspended: connect to mx.a.example[192.0.2.1]:25: Connection timed out",
                "mx.a.example",
                "Connection timed out",
            ),
            (
                "delivery temporarily suspended: lost connection with mx.a.example[192.0.2.1] while sending RCPT TO",
                "unknown",
                "delivery temporarily suspended: lost connection with mx.a.examp...",
            ),
            (
                "conversation with mx.a.example[192.0.2.1] timed out while sending MAIL FROM",
                "mx.a.example",
                "conversation timed out while sending MAIL FROM",
            ),
            ("host mx.a.example[192.0.2.1] said: 450 4.2.0 later (in reply to x", "mx.a.example", "later "),
            ("host mx.a.example[192.0.2.1] refused to talk to me: 421 busy", "mx.a.example", "busy"),
            ("unknown mail transport error", "unknown", "unknown mail transport error"),
            (
                "Host or domain name not found. Name service error for name=x.example type=MX: Host not found, try again",
                "unknown",
                "Name service error type=MX: Host not found, try again",
            ),
        ] {
            let (found, said) = deferral(reason.as_bytes());
            assert_eq!((text(found), text(said)), (host.to_owned(), why.to_owned()), "{reason}");
        }
    }

    #[test]
    fn bounces_lose_the_code_and_long_ones_what_stands_before_it() {
        let long = format!("host mx.a.example[192.0.2.1] said: 550-5.1.1 no such user{}", " x".repeat(20));
        assert!(text(said(long.as_bytes())).starts_with("no such user"));
        assert_eq!(
            text(said(b"host mx.a.example[192.0.2.1] said: 451-You wait")),
            "host mx.a.example[192.0.2.1] said: 451-You wait"
        );
        assert_eq!(text(said(b"550 5.1.1 unknown user: \"x\"")), "unknown user: \"x\"");
        assert_eq!(text(relay_host(b"none:25")), "none");
        assert_eq!(text(relay_host(b"dotless[192.0.2.1]")), "192.0.2.1");
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
            (
                "hostname h.example does not resolve to address 192.0.2.1: Name or service not known",
                "hostname h.example does not resolve to address 192.0.2.1: Name or service not known",
            ),
            ("non-SMTP command from h[192.0.2.1]: GET / HTTP/1.1", "non-SMTP command: GET"),
            (
                "Illegal address syntax from h[192.0.2.1] in RCPT command: <a@>",
                "Illegal address syntax in RCPT command",
            ),
            ("4F1A: queue file size limit exceeded", "queue file size limit exceeded"),
            ("valid_hostname: invalid character 92(decimal): x", "valid_hostname: invalid character"),
            ("process /usr/lib/postfix/smtpd pid 77 exit status 1", "process /usr/lib/postfix/smtpd exit status 1"),
            ("numeric hostname: 192.0.2.1", "numeric hostname"),
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
