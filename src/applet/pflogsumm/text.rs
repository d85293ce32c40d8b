//! Cutting and folding of what the log says: addresses, client names, reasons. All on bytes, in linear time, and in
//! the C locale: only ASCII letters have a case.

use crate::log::line::{digits, is_space};
use crate::sys::scan::position;
use memchr::{memchr, memchr_iter, memrchr};
use std::borrow::Cow;

/// What stands before and after the first occurrence of `mark`.
pub fn split_once<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = find(text, mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// Where `mark` first occurs, by its first byte: on a text as short as a line this beats preparing a searcher.
pub fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    let first = *mark.first()?;
    memchr_iter(first, text).find(|&at| text.get(at..).is_some_and(|tail| tail.starts_with(mark)))
}

/// What follows each occurrence of `mark`, found by its last byte: for marks that end in a rare one.
pub fn after_each<'a>(text: &'a [u8], mark: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let (last, before) = mark.split_last().unwrap_or((&0, b""));
    memchr_iter(*last, text).filter_map(move |at| {
        let (head, tail) = text.split_at(at);
        head.ends_with(before).then(|| tail.get(1..)).flatten()
    })
}

/// What follows the last occurrence of `mark`.
pub fn after_last<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    // From the right by the mark's last byte but for blanks, of which a line is full: preparing a searcher costs more
    // than a line is long.
    let (rare, blanks) = match mark {
        [.., rare, b' '] => (*rare, 1),
        _ => (*mark.last()?, 0),
    };
    memchr::memrchr_iter(rare, text).find_map(|at| {
        let end = at + 1 + blanks;
        text.get(..end)?.ends_with(mark).then(|| text.get(end..))?
    })
}

/// Where white space first stands, or the length.
#[inline]
pub fn run(text: &[u8]) -> usize {
    let end = position(text, b' ').unwrap_or(text.len());
    let run = text.get(..end).unwrap_or_default();
    // Others than the blank are rare; without an early end the compiler does many bytes at once.
    match run.iter().fold(false, |found, byte| found | matches!(byte, b'\t'..=b'\r')) {
        true => run.iter().position(|&byte| is_space(byte)).unwrap_or(end),
        false => end,
    }
}

/// Whether `byte` is part of a word (letters, digits, underscore).
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Up to `limit` bytes; a longer text ends in "...", which counts.
pub fn cut(text: &[u8], limit: usize) -> Cow<'_, [u8]> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    Cow::Owned([text.get(..limit - 3).unwrap_or_default(), b"..."].concat())
}

/// Shortens a reason from its left end: what a server said comes last. Parts up to " said: " go first, then parts
/// up to a colon; what is still too long is cut.
pub fn cut_said(text: &[u8], limit: usize) -> Cow<'_, [u8]> {
    let mut rest = text;
    while rest.len() > limit {
        if let Some(said) = after_last(rest, b" said: ") {
            rest = said;
        } else if let Some(colon) = memchr(b':', rest) {
            let after = rest.get(colon + 1..).unwrap_or_default();
            let blanks = after.iter().position(|&byte| byte != b' ').unwrap_or(after.len());
            rest = after.get(blanks..).unwrap_or_default();
        } else {
            return cut(rest, limit);
        }
    }
    Cow::Borrowed(rest)
}

/// Without a reply code ("450 ") at its beginning.
pub fn without_code(text: &[u8]) -> &[u8] {
    match text {
        [a, b, c, b' ', rest @ ..] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()) => rest,
        _ => text,
    }
}

/// How addresses are written down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Folding {
    /// All lower case, not only the domain.
    pub ignore_case: bool,
    /// host!user@next becomes next!user@host.
    pub uucp: bool,
    /// Numbers in list senders' addresses are replaced; above 1 they are removed.
    pub verp: Option<i64>,
}

impl Folding {
    /// A sender or recipient address in the form in which it is counted (without VERP, see [`Folding::sender`]).
    pub fn address<'a>(&self, address: &'a [u8]) -> Cow<'a, [u8]> {
        let mut folded = Cow::Borrowed(address);
        if self.uucp
            && let Some(turned) = turn_bang_path(&folded)
        {
            folded = Cow::Owned(turned);
        }
        // From the first "@" that something follows.
        let at = if self.ignore_case { Some(0) } else { position(&folded, b'@').filter(|at| at + 1 < folded.len()) };
        if let Some(at) = at
            && folded.get(at..).is_some_and(has_capital)
        {
            folded.to_mut()[at..].make_ascii_lowercase();
        }
        folded
    }

    /// A sender's address: also without the numbers that list managers put there.
    pub fn sender<'a>(&self, address: &'a [u8]) -> Cow<'a, [u8]> {
        match self.address(address) {
            Cow::Borrowed(same) => self.verp(same),
            Cow::Owned(folded) => Cow::Owned(self.verp(&folded).into_owned()),
        }
    }

    /// "list-return-36-x=y@z" becomes "list-return-ID-x=y@z", or "list-return@z" in the aggressive kind.
    pub fn verp<'a>(&self, address: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(level) = self.verp else { return Cow::Borrowed(address) };
        let numbered = match verp_number(address) {
            Some((from, to)) => Cow::Owned([&address[..from], b"-ID", &address[to..]].concat()),
            None => Cow::Borrowed(address),
        };
        match (level > 1).then(|| verp_tail(&numbered)).flatten() {
            Some((from, to)) => Cow::Owned([&numbered[..from], &numbered[to..]].concat()),
            None => numbered,
        }
    }
}

/// Whether a text has a letter that is not small.
#[inline]
fn has_capital(text: &[u8]) -> bool {
    // Without an early end the compiler does many bytes at once.
    text.iter().fold(false, |found, byte| found | byte.is_ascii_uppercase())
}

/// The part of a VERP address that holds message numbers: from..to.
fn verp_number(address: &[u8]) -> Option<(usize, usize)> {
    const WORDS: &[&str] = &["bounce", "nolist", "noreply", "noresponse", "return", "sentto"];
    let begin = (0..address.len()).find_map(|at| {
        let tail = address.get(at..)?;
        if tail[0].is_ascii_digit() {
            return Some(at + digits(tail));
        }
        let word = WORDS
            .iter()
            .find(|word| tail.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes())))?;
        Some(at + word.len())
    })?;
    // A separator and digits up to the end of a word, as often as they follow each other.
    let number = |at: usize| -> Option<usize> {
        matches!(address.get(at)?, b'+' | b'_' | b'.' | b'*' | b'-').then_some(())?;
        let end = at + 1 + digits(address.get(at + 1..)?);
        (end > at + 1 && !address.get(end).copied().is_some_and(is_word)).then_some(end)
    };
    let from = (begin..address.len()).find(|&at| number(at).is_some())?;
    let mut to = from;
    while let Some(end) = number(to) {
        to = end;
    }
    Some((from, to))
}

/// The part that names the list's member ("-12-user=some.dom"): from.., up to the "@".
fn verp_tail(address: &[u8]) -> Option<(usize, usize)> {
    let member = |at: usize| -> Option<usize> {
        let tail = address.get(at..)?;
        let length = tail.iter().position(|byte| matches!(byte, b'=' | b'*' | b'-')).filter(|&length| length > 0)?;
        matches!(tail[length], b'=' | b'*').then_some(())?;
        let domain = at + length + 1;
        let end = domain + memchr(b'@', address.get(domain..)?)?;
        (end > domain).then_some(end)
    };
    let last_at = memrchr(b'@', address)?;
    address[..last_at].iter().enumerate().filter(|(_, byte)| matches!(byte, b'-' | b'*')).find_map(|(at, _)| {
        let digits = digits(&address[at + 1..]);
        let numbered = (digits > 0 && matches!(address.get(at + 1 + digits), Some(b'-' | b'*')))
            .then(|| member(at + digits + 2))
            .flatten();
        numbered.or_else(|| member(at + 1)).map(|end| (at, end))
    })
}

/// "a!host!user@next" as "next!a!user@host"; None when the address is not of that kind ("next" has no dot).
fn turn_bang_path(address: &[u8]) -> Option<Vec<u8>> {
    memchr_iter(b'!', address).rev().find_map(|bang| {
        let (user, next) = split_once(&address[bang + 1..], b"@")?;
        if user.is_empty() || user.contains(&b'!') || next.is_empty() || next.contains(&b'.') {
            return None;
        }
        let path = &address[..bang];
        let host_at = memrchr(b'!', path).map_or(0, |at| at + 1);
        let (before, host) = path.split_at(host_at);
        (!host.is_empty()).then(|| [next, b"!", before, user, b"@", host].concat())
    })
}

/// The domain after the first "@" of an address that has something on both sides of it.
pub fn domain_of(address: &[u8]) -> Option<&[u8]> {
    let at = memchr(b'@', address).filter(|&at| at > 0)?;
    address.get(at + 1..).filter(|domain| !domain.is_empty())
}

/// A client "name[address]" or "name/address" as the domain it is counted under: the last labels of its name, or
/// the address when there is no name. None when it has neither form.
pub fn client_domain(client: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (name, address) = client_parts(client)?;
    if name.is_empty() || name == b"unknown" {
        return Some(Cow::Borrowed(address));
    }
    Some(match registered_part(name) {
        Some(at) if has_capital(&name[at..]) => Cow::Owned(name[at..].to_ascii_lowercase()),
        Some(at) => Cow::Borrowed(&name[at..]),
        None => Cow::Borrowed(name),
    })
}

/// Name and address of "name[address]", "name/address", "[address]:port".
pub fn client_parts(client: &[u8]) -> Option<(&[u8], &[u8])> {
    bracketed_ipv4(client).or_else(|| slashed(client)).or_else(|| enclosed(client))
}

/// 1.3.0's idea of a peer: its full name, else its address, else "unknown". It looks for "NAME[ADDRESS]" anywhere, then
/// for "NAME/ADDRESS", then for an address in brackets.
pub fn peer(client: &[u8]) -> &[u8] {
    match named(client) {
        Ok(name) => name,
        Err(address) => address,
    }
}

/// The name of a peer, or else its address.
fn named(client: &[u8]) -> Result<&[u8], &[u8]> {
    let brackets = || {
        memchr_iter(b'[', client).filter_map(|open| {
            let inner = client.get(open + 1..)?;
            let address = inner.get(..memchr(b']', inner)?)?;
            is_address(address).then_some((client.get(..open)?, address))
        })
    };
    // Whether the address's end is that of a word, too.
    let slashes = || {
        memchr_iter(b'/', client).filter_map(|slash| {
            let tail = client.get(slash + 1..)?;
            let tail = tail.strip_prefix(b"[").unwrap_or(tail);
            let end = tail.iter().position(|byte| !(byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':')));
            let (address, after) = tail.split_at(end.unwrap_or(tail.len()));
            let ends = after.first().is_none_or(|&byte| is_space(byte) || matches!(byte, b']' | b')' | b',' | b';'));
            is_address(address).then_some((client.get(..slash)?, address, ends))
        })
    };
    let bracketed = brackets().find_map(|(before, address)| Some((name_at_end(before)?, address)));
    let named = bracketed.or_else(|| slashes().find_map(|(before, address, _)| Some((name_at_end(before)?, address))));
    let (name, address) = named.unwrap_or_else(|| {
        let alone = slashes().find(|(_, _, ends)| *ends).map(|(_, address, _)| address);
        let address = brackets().next().map(|(_, address)| address).or(alone);
        (b"unknown", address.unwrap_or(b"unknown"))
    });
    match name == b"unknown" || name.ends_with(b".in-addr.arpa") || name.ends_with(b".ip6.arpa") {
        true => Err(address),
        false => Ok(name),
    }
}

/// The host name that a text ends with: "unknown", "localhost", or labels with dots between, and a dot behind or not.
fn name_at_end(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_suffix(b".").unwrap_or(text);
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let name = text.get(text.iter().rposition(|byte| !inside(byte)).map_or(0, |at| at + 1)..)?;
    if name.eq_ignore_ascii_case(b"unknown") || name.eq_ignore_ascii_case(b"localhost") {
        return Some(name);
    }
    let labels = || name.split(|&byte| byte == b'.');
    (labels().count() > 1 && labels().all(|label| !label.is_empty() && !label.contains(&b'_'))).then_some(name)
}

/// Whether a text is an IP address: four numbers, or hexadecimal ones with colons and perhaps four numbers behind them.
pub fn is_address(text: &[u8]) -> bool {
    let four = |text: &[u8]| {
        text.split(|&byte| byte == b'.').count() == 4
            && text
                .split(|&byte| byte == b'.')
                .all(|part| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit))
    };
    let six = |text: &[u8]| text.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b':');
    match memrchr(b':', text) {
        None => four(text),
        Some(colon) => six(text) || colon > 0 && six(&text[..colon]) && four(&text[colon + 1..]),
    }
}

/// 1.3.0's idea of [`client_domain`]: the [`peer`], its name by [`organisation`].
pub fn client_organisation(client: &[u8]) -> Cow<'_, [u8]> {
    match named(client) {
        Ok(name) => organisation(name),
        Err(address) => Cow::Borrowed(address),
    }
}

/// What 1.3.0 lists a name or an address under: the domain in lower case, without its machine: two labels below the old
/// generic domains, else one label less when there are more than three.
pub fn organisation(text: &[u8]) -> Cow<'_, [u8]> {
    const GENERIC: &[&[u8]] = &[b"com", b"net", b"org", b"gov", b"mil", b"edu"];
    let domain = bare_domain(text);
    let whole = domain.is_none();
    let name = domain.unwrap_or(text);
    let name = name.strip_suffix(b".").unwrap_or(name);
    // Empty labels at the end are none.
    let labels = name.len() - name.iter().rev().take_while(|byte| **byte == b'.').count();
    let labels = name.get(..labels).unwrap_or_default();
    let count = memchr_iter(b'.', labels).count() + 1;
    let last = memrchr(b'.', labels).map_or(labels, |at| labels.get(at + 1..).unwrap_or_default());
    let lower = |text: &[u8]| if whole { text.to_vec() } else { text.to_ascii_lowercase() };
    let generic = GENERIC.iter().any(|known| if whole { last == *known } else { last.eq_ignore_ascii_case(known) });
    let from = match memchr(b'.', name) {
        None => None,
        Some(_) if generic => memchr_iter(b'.', labels).rev().nth(1),
        Some(first) if count > 3 => Some(first),
        Some(_) => None,
    };
    let kept = match from {
        Some(at) => labels.get(at + 1..).unwrap_or_default(),
        None => name,
    };
    if !whole && has_capital(kept) { Cow::Owned(lower(kept)) } else { Cow::Borrowed(kept) }
}

/// What follows the first "@" of an address, or the whole text when it has none, without "<>" and white space around it;
/// None when white space or ">" is left inside.
fn bare_domain(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"<").unwrap_or(text);
    let domain = match memchr(b'@', text) {
        Some(at) if at > 0 && at + 1 < text.len() => text.get(at + 1..)?,
        _ => text,
    };
    let domain = domain.strip_suffix(b">").unwrap_or(domain);
    let plain = !domain.is_empty() && !domain.iter().any(|&byte| is_space(byte) || byte == b'>');
    plain.then_some(domain)
}

fn bracketed_ipv4(client: &[u8]) -> Option<(&[u8], &[u8])> {
    let open = position(client, b'[')?;
    let (name, rest) = (&client[..open], &client[open + 1..]);
    let mut end = 0;
    for dot in [true, true, true, false] {
        let length = digits(&rest[end..]);
        end += length;
        if !(1..=3).contains(&length) || *rest.get(end)? != if dot { b'.' } else { b']' } {
            return None;
        }
        end += usize::from(dot);
    }
    Some((name, &rest[..end]))
}

fn slashed(client: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = split_once(client, b"/")?;
    let end =
        rest.iter().position(|byte| !(byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':'))).unwrap_or(rest.len());
    (end > 0).then(|| (name, &rest[..end]))
}

/// "name[...]" with anything inside and at most a port behind.
fn enclosed(client: &[u8]) -> Option<(&[u8], &[u8])> {
    let open = client.iter().position(|byte| matches!(byte, b'[' | b'(' | b'/'))?;
    let (name, rest) = (&client[..open], &client[open + 1..]);
    let close = rest.iter().position(|byte| matches!(byte, b']' | b')')).filter(|&close| close > 0)?;
    let (address, tail) = (&rest[..close], &rest[close + 1..]);
    let port = tail.strip_prefix(b":").unwrap_or(tail);
    port.iter().all(u8::is_ascii_digit).then_some((name, address))
}

/// Where "host.dom" begins in "mach.host.dom" (last label of three bytes), or "host.do.co" in "mach.host.do.co";
/// None for names of another shape.
pub fn registered_part(name: &[u8]) -> Option<usize> {
    // A name is short and its last dots are near its end.
    let dot = |end: usize| name[..end].iter().rposition(|&byte| byte == b'.');
    let last = dot(name.len())?;
    let second = dot(last)?;
    let (last_length, second_length) = (name.len() - last - 1, last - second - 1);
    match last_length {
        3 if second_length > 0 => Some(second + 1),
        2 if (2..=3).contains(&second_length) => {
            let third = dot(second)?;
            (second - third > 1).then_some(third + 1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: Option<Cow<'_, [u8]>>) -> String {
        text.map_or("(none)".into(), |text| String::from_utf8_lossy(&text).into_owned())
    }

    #[test]
    fn clients_become_domains() {
        for (client, want) in [
            ("mail.Example.com[192.0.2.1]", "example.com"),
            ("a.b.Example.co.uk[192.0.2.1]", "example.co.uk"),
            ("Mail.X.info[192.0.2.1]", "Mail.X.info"),
            ("unknown[192.0.2.1]", "192.0.2.1"),
            ("unknown[2001:db8::1]", "2001:db8::1"),
            ("host.dom.com/10.0.0.1", "dom.com"),
            ("h.dom.com[2001:db8::1]:25", "dom.com"),
            ("nothing", "(none)"),
        ] {
            assert_eq!(shown(client_domain(client.as_bytes())), want, "{client}");
        }
    }

    #[test]
    fn newer_rules_fold_by_the_top_level() {
        for (client, want) in [
            ("mail.sales.Example.com[192.0.2.1]", "example.com"),
            ("a.b.example.co.uk[192.0.2.1]", "b.example.co.uk"),
            ("mail.example.de[192.0.2.1]", "mail.example.de"),
            ("dotless[192.0.2.1]", "192.0.2.1"),
            ("localhost[127.0.0.1]", "localhost"),
            ("unknown[2001:db8::1] ehlo=1 auth=0/1", "2001:db8::1"),
            ("[192.0.2.1]:4711", "192.0.2.1"),
            ("unknown[unknown]", "unknown"),
        ] {
            assert_eq!(String::from_utf8_lossy(&client_organisation(client.as_bytes())), want, "{client}");
        }
        for (address, want) in [
            ("u@Mail.Sales.Example.com", "example.com"),
            ("root", "root"),
            ("u@host.example.co.uk.", "example.co.uk"),
            ("u@[192.0.2.1]", "0.2.1]"),
        ] {
            assert_eq!(String::from_utf8_lossy(&organisation(address.as_bytes())), want, "{address}");
        }
    }

    #[test]
    fn verp_numbers_go() {
        let level = |verp| Folding { verp: Some(verp), ..Folding::default() };
        let address = b"list-return-36-someuser=place.com@lists.domain.com";
        assert_eq!(&*level(0).verp(address), b"list-return-ID-someuser=place.com@lists.domain.com");
        assert_eq!(&*level(2).verp(address), b"list-return-ID@lists.domain.com");
        assert_eq!(&*Folding::default().verp(address), address);
        assert_eq!(&*level(2).verp(b"plain@x.y"), b"plain@x.y");
    }

    #[test]
    fn bang_paths_turn() {
        let folding = Folding { uucp: true, ..Folding::default() };
        assert_eq!(&*folding.address(b"somehost.dom!username@foo"), b"foo!username@somehost.dom");
        assert_eq!(&*folding.address(b"a!b.c!user@foo"), b"foo!a!user@b.c");
        assert_eq!(&*folding.address(b"user@foo.dom"), b"user@foo.dom");
    }

    #[test]
    fn reasons_are_cut_from_the_left() {
        let long = b"host mx.example.com[192.0.2.1] said: 450 4.2.0 <someone@example.com>: try again later please";
        assert_eq!(&*cut_said(long, 65), b"450 4.2.0 <someone@example.com>: try again later please");
        assert_eq!(cut(&[b'x'; 80], 64).len(), 64);
        assert_eq!(&*cut_said(b"a: b", 65), b"a: b");
    }
}
