//! What smtpd or postscreen said when it turned a client away: kind of command, reason, and whom it is held against.
//! The reasons are cut so that lines that differ only by an address count as one; the rules are the reference's.

use super::text::{self, Folding, after_each, client_domain, client_organisation, find, split_once};
use crate::log::line::is_space;
use memchr::{memchr, memchr_iter, memchr2, memchr2_iter, memrchr2};
use std::borrow::Cow;

/// One verdict as it is counted.
#[derive(Debug, PartialEq, Eq)]
pub struct Reject<'a> {
    /// RCPT, MAIL, CONNECT, DATA, EHLO, ...; empty for a line that cannot be read.
    pub kind: &'a [u8],
    pub reason: Cow<'a, [u8]>,
    /// The client's domain, the sender or the recipient, whichever the reason is about.
    pub about: Vec<u8>,
}

/// How much of it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub folding: Folding,
    /// --verbose-msg-detail: reasons are not cut.
    pub verbose: bool,
    /// --rej-add-from
    pub add_from: bool,
    /// --rej-add-to (1.3.0)
    pub add_to: bool,
    /// By the rules of 1.3.0.
    pub newer: bool,
    /// Clients as 1.3.0 names them.
    pub organisations: bool,
}

/// Reads a line's text (everything after the host) that holds "reject: KIND from CLIENT: REASON".
pub fn read<'a>(line: &'a [u8], style: &Style) -> Reject<'a> {
    of(line, parts(line).unwrap_or_default(), style)
}

/// The same for "KIND from CLIENT: REASON", the text of a verdict.
pub fn read_text<'a>(text: &'a [u8], style: &Style) -> Option<Reject<'a>> {
    Some(of(text, kind_and_client(text)?, style))
}

fn of<'a>(line: &'a [u8], (kind, client, said): (&'a [u8], &'a [u8], &'a [u8]), style: &Style) -> Reject<'a> {
    let mut reason = if style.verbose { Cow::Borrowed(said) } else { shorten(kind, said, style.newer) };
    let sender = || sender(said, style);
    let with_sender = |mut about: Vec<u8>| {
        if style.add_from {
            about.extend_from_slice(b"  (");
            about.extend_from_slice(&sender());
            about.push(b')');
        }
        about
    };
    let domain = if style.newer || style.organisations {
        client_organisation(client)
    } else {
        client_domain(client).unwrap_or_default()
    };
    let by_client = || match style.add_to {
        true => [&domain, b"  (".as_slice(), &parties(&sender(), said, style), b")"].concat(),
        false => with_sender(domain.to_vec()),
    };
    let about = if reason.starts_with(b"Sender address rejected:") {
        match (style.newer, style.add_from || style.add_to) {
            (false, _) => sender().into_owned(),
            // The missing ">" is the reference's.
            (true, false) => [&domain, b" (<".as_slice(), &sender(), b")"].concat(),
            (true, true) => [&domain, b" (".as_slice(), &parties(&sender(), said, style), b")"].concat(),
        }
    } else if reason.starts_with(b"Recipient address rejected:") || is_user_unknown(&reason) {
        with_sender(recipient(said, style).into_owned())
    } else if let Some(known) = coded(&reason, b"Improper use of SMTP command pipelining") {
        reason = Cow::Owned(known);
        pipelining_client(line).to_vec()
    } else if let Some(known) = coded(&reason, b"Message size exceeds fixed limit") {
        reason = Cow::Owned(known);
        by_client()
    } else if let Some(known) =
        coded(&reason, b"Server configuration error").or_else(|| coded(&reason, b"Server configuration problem"))
    {
        reason = Cow::Owned([b"(Local) ", known.as_slice()].concat());
        by_client()
    } else {
        by_client()
    };
    Reject { kind, reason, about }
}

/// "sender -> recipient", or what --rej-add-from and --rej-add-to leave of it.
fn parties(sender: &[u8], said: &[u8], style: &Style) -> Vec<u8> {
    let to = || recipient(said, style);
    match (style.add_from, style.add_to) {
        (true, true) => [sender, b" -> ", &to()].concat(),
        (false, true) => [b"-> ", to().as_ref()].concat(),
        _ => sender.to_vec(),
    }
}

/// The last " reject: KIND from CLIENT: REST" (or reject_warning, hold, discard) of a line.
fn parts(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    const WORDS: &[&[u8]] = &[b" reject", b" reject_warning", b" hold", b" discard"];
    for at in memchr::memrchr_iter(b':', line).filter(|at| line.get(at + 1) == Some(&b' ')) {
        if !WORDS.iter().any(|word| line[..at].ends_with(word)) {
            continue;
        }
        if let Some(found) = kind_and_client(&line[at + 2..]) {
            return Some(found);
        }
    }
    None
}

/// "KIND from CLIENT: REST"
pub fn kind_and_client(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let kind_end = text.iter().position(|&byte| is_space(byte)).filter(|&end| end > 0)?;
    let rest = text[kind_end..].strip_prefix(b" from ")?;
    let (client, said) = rest.split_at(rest.iter().position(|&byte| is_space(byte))?);
    let (client, said) = (client.strip_suffix(b":")?, said.strip_prefix(b" ")?);
    (!client.is_empty()).then_some((&text[..kind_end], client, said))
}

fn is_user_unknown(reason: &[u8]) -> bool {
    reason.strip_prefix(b"User unknown").is_some_and(|rest| rest.is_empty() || rest.starts_with(b" "))
}

/// The text when the reason holds "NNN TEXT;".
fn coded(reason: &[u8], known: &[u8]) -> Option<Vec<u8>> {
    memchr(b';', reason)?;
    let mut from = 0;
    while let Some(at) = find(&reason[from..], known).map(|at| at + from) {
        let before = &reason[..at];
        let code = before.strip_suffix(b" ").is_some_and(|before| before.ends_with_digits(3));
        if code && reason[at + known.len()..].starts_with(b";") {
            return Some(known.to_vec());
        }
        from = at + 1;
    }
    None
}

trait EndsWithDigits {
    fn ends_with_digits(&self, count: usize) -> bool;
}

impl EndsWithDigits for [u8] {
    fn ends_with_digits(&self, count: usize) -> bool {
        self.len() >= count && self[self.len() - count..].iter().all(u8::is_ascii_digit)
    }
}

/// The client of a pipelining complaint: after the line's first " from ", up to a colon.
fn pipelining_client(line: &[u8]) -> &[u8] {
    memchr_iter(b' ', line)
        .filter(|&at| at > 0)
        .find_map(|at| {
            let rest = line[at..].strip_prefix(b" from ")?;
            let end = rest.iter().skip(1).position(|&byte| byte == b':' || is_space(byte))? + 1;
            (rest[end] == b':' && !is_space(rest[0])).then(|| &rest[..end])
        })
        .unwrap_or_default()
}

/// The value of "NAME=<...>" that is not empty.
fn bracketed<'a>(said: &'a [u8], name: &'static [u8]) -> Option<&'a [u8]> {
    after_each(said, name).find_map(|rest| {
        let end = memchr(b'>', rest).filter(|&end| end > 0)?;
        Some(&rest[..end])
    })
}

fn sender<'a>(said: &'a [u8], style: &Style) -> Cow<'a, [u8]> {
    let from = bracketed(said, b"from=<").unwrap_or(b"<>");
    lower(style.folding.verp(from), style)
}

fn recipient<'a>(said: &'a [u8], style: &Style) -> Cow<'a, [u8]> {
    let to = bracketed(said, b"to=<").or_else(|| unknown_user(said)).or_else(|| {
        let (_, rest) = split_once(said, b"to=<")?;
        let end = rest.iter().position(|byte| matches!(byte, b',' | b' ')).unwrap_or(rest.len());
        rest.get(..end)
    });
    lower(Cow::Borrowed(to.unwrap_or(b"<>")), style)
}

/// "550 <address>: User unknown "
fn unknown_user(said: &[u8]) -> Option<&[u8]> {
    memchr_iter(b'<', said).find_map(|at| {
        let rest = &said[at + 1..];
        let code = said[..at].strip_suffix(b" ")?.ends_with_digits(3);
        let end = memchr(b'>', rest).filter(|&end| end > 0 && code)?;
        rest[end..].starts_with(b">: User unknown ").then(|| &rest[..end])
    })
}

fn lower<'a>(text: Cow<'a, [u8]>, style: &Style) -> Cow<'a, [u8]> {
    if style.folding.ignore_case { Cow::Owned(text.to_ascii_lowercase()) } else { text }
}

/// The reason without what differs from client to client.
fn shorten<'a>(kind: &[u8], said: &'a [u8], newer: bool) -> Cow<'a, [u8]> {
    match kind {
        b"BDAT" if newer => shorten_recipient(said),
        b"RCPT" | b"DATA" | b"CONNECT" => shorten_recipient(said),
        b"MAIL" => Cow::Borrowed(shorten_mail(said)),
        _ => Cow::Borrowed(shorten_other(said)),
    }
}

fn shorten_recipient(said: &[u8]) -> Cow<'_, [u8]> {
    let mut reason = Cow::Borrowed(said);
    // "550 <anything>: " becomes "550 <>: ": there may be anything in there, colons too.
    if text::without_code(&reason).len() < reason.len()
        && reason.get(4) == Some(&b'<')
        && let Some(end) = find(&reason[5..], b">:")
    {
        reason = Cow::Owned([&reason[..5], &reason[5 + end..]].concat());
    }
    if let [a, b, c, b' ', d, b'.', e, b'.', f, b' ', rest @ ..] = &*reason
        && [a, b, c, d, e, f].iter().all(|digit| digit.is_ascii_digit())
        && rest.starts_with(b"Protocol error;")
    {
        reason = Cow::Borrowed(b"Protocol error");
    }
    if let Some((from, to)) = clause(&reason) {
        reason = slice(reason, from, to);
    }
    for who in [b"Sender address rejected: ".as_slice(), b"Recipient address rejected: "] {
        if reason.starts_with(who)
            && let Some(end) = memchr(b':', &reason[who.len()..]).filter(|&end| end > 0)
        {
            reason = slice(reason, 0, who.len() + end);
            break;
        }
    }
    if let Some((from, to)) = blocked(&reason) {
        reason = Cow::Owned([&reason[..from], &reason[to..]].concat());
    }
    reason
}

fn slice(text: Cow<'_, [u8]>, from: usize, to: usize) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[from..to]),
        Cow::Owned(text) => Cow::Owned(text[from..to].to_vec()),
    }
}

/// The first clause after a ": " or "; " (and a "[...] ") that ends in ";" or ",".
fn clause(reason: &[u8]) -> Option<(usize, usize)> {
    let ends = |from: usize| {
        let length = memchr2(b';', b',', reason.get(from..)?)?;
        (length > 0).then_some((from, from + length))
    };
    // Without any ";" or "," no place can match; one look keeps this linear.
    let last_end = memrchr2(b';', b',', reason)?;
    memchr2_iter(b':', b';', &reason[..last_end]).find_map(|at| {
        let from = at + 2;
        (at + 1 < last_end && reason[at + 1] == b' ').then_some(())?;
        let bracket = reason.get(from) == Some(&b'[');
        let inner = bracket.then(|| memchr(b']', &reason[from..])).flatten().filter(|&length| length > 1);
        let after = inner.map(|length| from + length + 1).filter(|&after| reason.get(after) == Some(&b' '));
        after.and_then(|after| ends(after + 1)).or_else(|| ends(from))
    })
}

/// "client X blocked", "Client host X blocked", "Sender address X blocked" lose all before "blocked".
fn blocked(reason: &[u8]) -> Option<(usize, usize)> {
    const WHO: &[&[u8]] = &[b"client ", b"Client host ", b"Sender address "];
    let last = memchr::memrchr_iter(b' ', reason).find(|&at| reason[at..].starts_with(b" blocked"))?;
    memchr::memchr3_iter(b'c', b'C', b'S', &reason[..last]).find_map(|at| {
        let who = WHO.iter().find(|who| reason[at..].starts_with(who))?;
        let from = at + who.len() + 1;
        let found = find(reason.get(from..)?, b" blocked")?;
        Some((at, from + found + 1))
    })
}

/// MAIL: what follows "NNN " and the last "<...>: ", up to a colon or semicolon.
fn shorten_mail(said: &[u8]) -> &[u8] {
    let rest = text::without_code(said);
    if rest.len() == said.len() {
        return said;
    }
    let ends = |from: usize| {
        let tail = rest.get(from..)?;
        let length = tail.iter().position(|byte| matches!(byte, b';' | b':')).unwrap_or(tail.len());
        (length > 0).then(|| &tail[..length])
    };
    if rest.starts_with(b"<") {
        let mut marks: Vec<usize> =
            memchr_iter(b'>', rest).filter(|&at| at > 1 && rest[at..].starts_with(b">: ")).collect();
        while let Some(at) = marks.pop() {
            if let Some(found) = ends(at + 3) {
                return found;
            }
        }
    }
    ends(0).unwrap_or(said)
}

/// Others: what follows the last ": " or "; ", up to a comma.
fn shorten_other(said: &[u8]) -> &[u8] {
    let ends = |from: usize| {
        let tail = said.get(from..)?;
        let length = memchr(b',', tail).unwrap_or(tail.len());
        (length > 0).then(|| &tail[..length])
    };
    memchr::memrchr_iter(b' ', said)
        .filter(|&at| at > 0 && matches!(said[at - 1], b':' | b';'))
        .find_map(|at| ends(at + 1))
        .or_else(|| ends(0))
        .unwrap_or(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style {
        folding: Folding { ignore_case: false, uucp: false, verp: None },
        verbose: false,
        add_from: false,
        add_to: false,
        newer: false,
        organisations: false,
    };

    fn read_line(line: &str, style: &Style) -> (String, String, String) {
        let reject = read(line.as_bytes(), style);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(reject.kind), text(&reject.reason), text(&reject.about))
    }

    #[test]
    fn reasons_and_whom_they_are_about() {
        let relay = "postfix/smtpd[1]: NOQUEUE: reject: RCPT from h.a.com[192.0.2.9]: 554 5.7.1 <x@y.z>: \
                     Relay access denied; from=<u@a.com> to=<x@y.z> proto=ESMTP helo=<h>";
        let want = ("RCPT".to_owned(), "Relay access denied".to_owned(), "a.com".to_owned());
        assert_eq!(read_line(relay, &STYLE), want);
        let added = read_line(relay, &Style { add_from: true, ..STYLE });
        assert_eq!(added.2, "a.com  (u@a.com)");
        let unknown = "postfix/smtpd[1]: NOQUEUE: reject: RCPT from h[192.0.2.9]: 550 5.1.1 <x@y.z>: Recipient address \
                       rejected: User unknown in local recipient table; from=<u@a.com> to=<x@y.z> proto=SMTP helo=<h>";
        assert_eq!(
            read_line(unknown, &STYLE),
            ("RCPT".into(), "Recipient address rejected: User unknown in local recipient table".into(), "x@y.z".into())
        );
        let listed = "postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.9]: 554 5.7.1 Service unavailable; \
                      Client host [192.0.2.9] blocked using zen.example.org; from=<a@b> to=<c@d> proto=ESMTP helo=<h>";
        assert_eq!(
            read_line(listed, &STYLE),
            ("RCPT".into(), "blocked using zen.example.org".into(), "192.0.2.9".into())
        );
        assert_eq!(read_line("reject", &STYLE), (String::new(), String::new(), String::new()));
    }
}
