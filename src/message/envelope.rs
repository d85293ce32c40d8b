//! Envelope addresses. Inside the mail system an address is in internal form, without quotes ("to to@localhost"); on
//! the wire and in headers it is in external form ("\"to to\"@localhost"). RFC 5321 section 4.1.2.

/// Most bytes of an address; RFC 5321 asks for 256, and a longer one is nobody's.
pub const MAX_ADDRESS: usize = 1024;

/// Local part and domain, split at the last "@".
pub fn split(address: &str) -> (&str, Option<&str>) {
    match address.rsplit_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (address, None),
    }
}

/// The domain of an address, "" when it has none.
pub fn domain(address: &str) -> &str {
    split(address).1.unwrap_or_default()
}

/// External form: the local part quoted where RFC 5321 asks for it.
pub fn quote(address: &str) -> String {
    let (local, domain) = split(address);
    let mut out = quote_local(local);
    if let Some(domain) = domain {
        out.push('@');
        out.push_str(domain);
    }
    out
}

/// External form for a path: the null address stays empty, without quotes.
pub fn quote_path(address: &str) -> String {
    if address.is_empty() { String::new() } else { quote(address) }
}

fn quote_local(local: &str) -> String {
    let atom = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let dots_fine = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    if !local.is_empty() && dots_fine && local.chars().all(atom) {
        return local.to_owned();
    }
    let mut out = String::from("\"");
    for c in local.chars() {
        if matches!(c, '"' | '\\' | '\r' | '\n') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Internal form of an external address: quotes and backslashes taken off.
pub fn unquote(address: &str) -> String {
    let mut out = String::with_capacity(address.len());
    let mut quoted = false;
    let mut characters = address.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => out.extend(characters.next()),
            _ => out.push(c),
        }
    }
    out
}

/// Local part without its extension, and the extension: "toto+lists" with "+" gives ("toto", Some("lists")).
pub fn split_extension<'a>(local: &'a str, delimiters: &str) -> (&'a str, Option<&'a str>) {
    match split_extension_bytes(local.as_bytes(), delimiters.as_bytes()) {
        // A delimiter is ASCII, so both sides are whole characters.
        Some((user, _)) => (&local[..user.len()], local.get(user.len() + 1..)),
        None => (local, None),
    }
}

/// Splits "user+ext" at the first delimiter into "user" and "+ext". Addresses that the mail system itself uses are
/// never split, and with "-" neither are those of lists (owner-list, list-request).
pub fn split_extension_bytes<'a>(local: &'a [u8], delimiters: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    const NEVER: [&[u8]; 3] = [b"postmaster", b"mailer-daemon", b"double-bounce"];
    if delimiters.is_empty() || NEVER.iter().any(|name| local.eq_ignore_ascii_case(name)) {
        return None;
    }
    if delimiters.contains(&b'-') {
        let owner = local.get(..6).is_some_and(|head| head.eq_ignore_ascii_case(b"owner-"));
        let request = local.len() > 8 && local[local.len() - 8..].eq_ignore_ascii_case(b"-request");
        if owner || request {
            return None;
        }
    }
    let at = local.iter().position(|byte| byte.is_ascii() && delimiters.contains(byte)).filter(|&at| at > 0)?;
    Some(local.split_at(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_there_and_back() {
        for (internal, external) in [
            ("toto@localhost", "toto@localhost"),
            ("to to@localhost", "\"to to\"@localhost"),
            ("a\"b@x", "\"a\\\"b\"@x"),
            ("", "\"\""),
            (".a@x", "\".a\"@x"),
            ("joe@evil@x", "\"joe@evil\"@x"),
        ] {
            assert_eq!(quote(internal), external);
            assert_eq!(unquote(external), internal);
        }
    }

    #[test]
    fn extensions() {
        assert_eq!(split_extension("toto+a+b", "+"), ("toto", Some("a+b")));
        assert_eq!(split_extension("+a", "+"), ("+a", None));
        assert_eq!(split_extension("owner-list", "-"), ("owner-list", None));
        assert_eq!(split_extension("MAILER-DAEMON", "-"), ("MAILER-DAEMON", None));
    }
}
