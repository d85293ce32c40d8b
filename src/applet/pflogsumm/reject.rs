//! What smtpd or postscreen said when it turned a client away: kind of command, reason, and whom it is held against.
//! The reasons are cut so that lines that differ only by an address count as one; the rules are the reference's.

use super::condense::without_srs;
use super::fields::truth;
use super::options::Options;
use super::text::{self, Folding, after_each, client_domain, client_organisation, find, split_once};
use crate::log::line::is_space;
use crate::sys::scan::positions;
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
    /// Stamps have years that are believed (1.3.0).
    pub newer: bool,
    /// Clients as 1.3.0 names them.
    pub organisations: bool,
}

impl Style {
    /// Without any wish of the command line.
    pub const PLAIN: Style = Style {
        folding: Folding { ignore_case: false, uucp: false, verp: None },
        verbose: false,
        add_from: false,
        add_to: false,
        newer: false,
        organisations: false,
    };

    /// As the command line asks for it.
    pub fn of(options: &Options) -> Style {
        Style {
            folding: Folding { ignore_case: options.ignore_case, uucp: options.uucp, verp: options.verp },
            verbose: options.verbose,
            add_from: options.rej_add_from,
            add_to: options.newer.as_ref().is_some_and(|newer| newer.rej_add_to),
            newer: options.newer.is_some(),
            organisations: options.accurate,
        }
    }
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
    let mut reason = if style.verbose { Cow::Borrowed(said) } else { shorten(kind, said) };
    let with_sender = |mut about: Vec<u8>| {
        if style.add_from {
            about.extend_from_slice(b"  (");
            about.extend_from_slice(&sender(said, style));
            about.push(b')');
        }
        about
    };
    let by_client = || {
        with_sender(match style.organisations {
            true => client_organisation(client).into_owned(),
            false => client_domain(client).unwrap_or_default().into_owned(),
        })
    };
    let about = if reason.starts_with(b"Sender address rejected:") {
        sender(said, style).into_owned()
    } else if is_about_recipient(&reason) {
        with_sender(recipient(said, style).into_owned())
    } else {
        match known(&reason) {
            Some((known, _)) if known == PIPELINING => {
                reason = Cow::Borrowed(PIPELINING);
                pipelining_client(line).to_vec()
            }
            Some((_, whole)) => {
                reason = Cow::Owned(whole);
                by_client()
            }
            None => by_client(),
        }
    };
    Reject { kind, reason, about }
}

/// The same for "KIND from CLIENT: REASON" by the rules of 1.3.0; `srs`: senders are turned back.
pub fn read_newer<'a>(text: &'a [u8], style: &Style, srs: bool) -> Reject<'a> {
    let (mut kind, client, said) = kind_and_client(text).unwrap_or_default();
    let mut reason = Cow::Borrowed(said);
    if !style.verbose {
        match kind {
            b"RCPT" | b"DATA" | b"CONNECT" | b"BDAT" => reason = shorten_newer(said),
            b"connect" => kind = b"CONNECT",
            _ => reason = shorten(kind, said),
        }
    }
    let from = bracketed(said, b"from=<").unwrap_or(b"<>");
    let from = style.folding.verp(from);
    let from = match srs.then(|| without_srs(&from)).flatten() {
        Some(plain) => lower(Cow::Owned(plain), style),
        None => lower(from, style),
    };
    let to = recipient(said, style);
    let domain = client_organisation(client);
    let from_only = |begin: &[u8]| match style.add_from {
        true => [&domain, begin, &from, b")"].concat(),
        false => domain.to_vec(),
    };
    let about = if reason.starts_with(b"Sender address rejected:") {
        match style.add_to {
            true if truth(&to) => [&domain, b" (".as_slice(), &from, b" -> ", &to, b")"].concat(),
            true => domain.to_vec(),
            // The missing ">" is the reference's.
            false => [&domain, b" (<".as_slice(), &from, b")"].concat(),
        }
    } else if is_about_recipient(&reason) {
        match style.add_from {
            true if truth(&from) => [&to, b"  (".as_slice(), &from, b")"].concat(),
            true => [&to, b"  (".as_slice(), &domain, b")"].concat(),
            false => to.into_owned(),
        }
    } else if let Some((known, whole)) = known(&reason) {
        reason = Cow::Owned(whole);
        if known == PIPELINING { pipelining_client(text).to_vec() } else { from_only(b"  (") }
    } else if *reason == *b"Helo command rejected: Invalid name" {
        from_only(b"  (")
    } else {
        match style.add_to && truth(&to) {
            true if style.add_from => [&domain, b"  (".as_slice(), &from, b" -> ", &to, b")"].concat(),
            true => [&domain, b"  (> ".as_slice(), &to, b")"].concat(),
            false => from_only(b"  (< "),
        }
    };
    Reject { kind, reason, about }
}

const PIPELINING: &[u8] = b"Improper use of SMTP command pipelining";

/// The text "NNN TEXT;" in a reason, when it is one that has a section of its own, and how that is shown.
fn known(reason: &[u8]) -> Option<(&'static [u8], Vec<u8>)> {
    const KNOWN: [(&[u8], &[u8]); 4] = [
        (PIPELINING, b""),
        (b"Message size exceeds fixed limit", b""),
        (b"Server configuration error", b"(Local) "),
        (b"Server configuration problem", b"(Local) "),
    ];
    // Nearly no reason has one.
    memchr(b';', reason)?;
    let (known, before) = KNOWN.into_iter().find(|(known, _)| is_coded(reason, known))?;
    Some((known, [before, known].concat()))
}

fn is_about_recipient(reason: &[u8]) -> bool {
    reason.starts_with(b"Recipient address rejected:") || is_user_unknown(reason)
}

/// The last " reject: KIND from CLIENT: REST" (or reject_warning, hold, discard) of a line.
fn parts(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    const WORDS: &[&[u8]] = &[b" reject", b" reject_warning", b" hold", b" discard"];
    positions(line, b':')
        .filter(|&at| {
            let (before, after) = line.split_at(at);
            matches!(before.last(), Some(b't' | b'g' | b'd'))
                && after.starts_with(b": ")
                && WORDS.iter().any(|word| before.ends_with(word))
        })
        .filter_map(|at| kind_and_client(&line[at + 2..]))
        .last()
}

/// "KIND from CLIENT: REST"
pub fn kind_and_client(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let kind_end = Some(text::run(text)).filter(|&end| end > 0)?;
    let rest = text[kind_end..].strip_prefix(b" from ")?;
    let (client, said) = rest.split_at(text::run(rest));
    let (client, said) = (client.strip_suffix(b":")?, said.strip_prefix(b" ")?);
    (!client.is_empty()).then_some((&text[..kind_end], client, said))
}

fn is_user_unknown(reason: &[u8]) -> bool {
    reason.strip_prefix(b"User unknown").is_some_and(|rest| rest.is_empty() || rest.starts_with(b" "))
}

/// Whether a reason holds "NNN TEXT;".
fn is_coded(reason: &[u8], text: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = find(&reason[from..], text).map(|at| at + from) {
        let code = reason[..at].strip_suffix(b" ").is_some_and(|before| before.ends_with_digits(3));
        if code && reason[at + text.len()..].starts_with(b";") {
            return true;
        }
        from = at + 1;
    }
    false
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
fn shorten<'a>(kind: &[u8], said: &'a [u8]) -> Cow<'a, [u8]> {
    match kind {
        b"RCPT" | b"DATA" | b"CONNECT" => {
            // "550 <anything>: " becomes "550 <>: ": there may be anything in there, colons too.
            let begin = (text::without_code(said).len() < said.len() && said.get(4) == Some(&b'<')).then_some(5);
            shorten_recipient(said, begin)
        }
        b"MAIL" => Cow::Borrowed(shorten_mail(said)),
        _ => Cow::Borrowed(shorten_other(said)),
    }
}

/// "D.D.D " behind a code of three digits and a blank.
fn has_status(said: &[u8]) -> bool {
    text::without_code(said).len() < said.len()
        && matches!(said.get(4..10), Some([d, b'.', e, b'.', f, b' ']) if [d, e, f].iter().all(|digit| digit.is_ascii_digit()))
}

/// `begin`: where what "<" encloses begins.
fn shorten_recipient(said: &[u8], begin: Option<usize>) -> Cow<'_, [u8]> {
    let mut reason = Cow::Borrowed(said);
    if let Some(begin) = begin
        && let Some(end) = find(&reason[begin..], b">:")
    {
        reason = Cow::Owned([&reason[..begin], &reason[begin + end..]].concat());
    }
    if has_status(&reason) && reason[10..].starts_with(b"Protocol error;") {
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

/// What 1.3.0 shortens beyond that.
fn shorten_newer(said: &[u8]) -> Cow<'_, [u8]> {
    let status = if has_status(said) { 6 } else { 0 };
    let enclosed = text::without_code(said).len() < said.len() && said.get(4 + status) == Some(&b'<');
    let mut reason = shorten_recipient(said, enclosed.then_some(5 + status));
    if has_status(&reason) {
        for known in [b"Server configuration error".as_slice(), b"Server configuration problem"] {
            if reason[10..].strip_prefix(known).is_some_and(|rest| rest.len() > 1 && rest.starts_with(b";")) {
                return Cow::Owned(known.to_vec());
            }
        }
    }
    const GENERIC: &[u8] = b"Client host rejected: Generic - Please relay via ISP";
    if reason.strip_prefix(b"Unverified ").is_some_and(|rest| rest.starts_with(GENERIC)) {
        reason = Cow::Borrowed(GENERIC);
    }
    const DOMAIN: &[u8] = b"Sender address rejected: Domain";
    const REFUSES: &[u8] = b"does not accept mail (nullMX)";
    if let Some(rest) = reason.strip_prefix(DOMAIN).and_then(|rest| rest.strip_prefix(b" "))
        && let Some(at) = memchr::memmem::rfind(rest, REFUSES)
        && rest[..at].strip_suffix(b" ").is_some_and(|name| !name.is_empty())
    {
        reason = Cow::Owned([DOMAIN, b" ", REFUSES].concat());
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
    let last = positions(reason, b'k').filter_map(|at| reason[..at].strip_suffix(b" bloc").map(<[u8]>::len));
    let last = last.filter(|&at| reason[at..].starts_with(b" blocked")).last()?;
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

    const STYLE: Style = Style::PLAIN;

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
