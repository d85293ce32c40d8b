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
    (peer(relay), cut(without_name(said(reason)), LONGEST))
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
    without_code(split_once(reason, b" said: ").map_or(reason, |(_, said)| said))
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
        split_once(local, b"==").map(|(_, rest)| rest).and_then(|rest| rest.len().checked_sub(0).map(|_| rest))?
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
