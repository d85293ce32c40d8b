//! Incomplete addresses made complete (ADDRESS_REWRITING_README, "Rewriting addresses to standard form"):
//! "user" gets @$myorigin, "user@host" gets .$mydomain when append_dot_mydomain says so, "site!user" and
//! "user%domain" become user@site and user@domain.

use crate::conf::MainCf;
use crate::message::envelope;

/// The rules of one configuration.
#[derive(Clone, Debug)]
pub struct Rewriter {
    origin: String,
    domain: String,
    append_at_myorigin: bool,
    append_dot_mydomain: bool,
    swap_bangpath: bool,
    percent_hack: bool,
}

impl Rewriter {
    pub fn new(cf: &MainCf) -> Rewriter {
        Rewriter {
            origin: cf.origin(),
            domain: cf.mydomain(),
            append_at_myorigin: cf.append_at_myorigin(),
            append_dot_mydomain: cf.append_dot_mydomain(),
            swap_bangpath: cf.swap_bangpath(),
            percent_hack: cf.allow_percent_hack(),
        }
    }

    /// The same rules for strangers' headers (remote_header_rewrite_domain), which never get our own domain.
    pub fn for_strangers(self, domain: &str) -> Rewriter {
        Rewriter { origin: domain.to_owned(), domain: domain.to_owned(), append_at_myorigin: true, ..self }
    }

    /// $myorigin.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The complete form of an address in internal form; the empty address stays empty.
    pub fn rewrite(&self, address: &str) -> String {
        let mut address = address.trim();
        if address.is_empty() {
            return String::new();
        }
        // A source route: only its last address counts.
        if address.starts_with('@')
            && let Some((_, last)) = address.split_once(':')
        {
            address = last;
        }
        let mut complete = address.strip_suffix('@').unwrap_or(address).to_owned();
        if !complete.contains('@') {
            complete = self.without_domain(&complete);
        }
        let (local, domain) = envelope::split(&complete);
        let Some(domain) = domain else { return complete };
        // One dot at the end is a fully qualified name; two are no name.
        let qualified = domain.strip_suffix('.').filter(|name| !name.is_empty() && !name.ends_with('.'));
        let trimmed = qualified.unwrap_or(domain);
        let bare = !trimmed.is_empty() && !trimmed.contains('.') && !trimmed.starts_with('[');
        if bare && self.append_dot_mydomain {
            return format!("{local}@{trimmed}.{}", self.domain);
        }
        format!("{local}@{trimmed}")
    }

    fn without_domain(&self, local: &str) -> String {
        if self.swap_bangpath
            && let Some((site, user)) = local.split_once('!')
        {
            return format!("{user}@{site}");
        }
        if self.percent_hack
            && let Some((user, site)) = local.rsplit_once('%')
        {
            return format!("{user}@{site}");
        }
        if self.append_at_myorigin { format!("{local}@{}", self.origin) } else { local.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn forms() {
        let cf =
            "compatibility_level=3.6\nmyorigin = virtualux.fr\nmydomain = virtualux.fr\nappend_dot_mydomain = yes\n";
        let rewriter = Rewriter::new(&MainCf::parse(Path::new("/x"), cf).unwrap());
        for (given, want) in [
            ("toto", "toto@virtualux.fr"),
            ("toto@srv", "toto@srv.virtualux.fr"),
            ("toto@localhost", "toto@localhost.virtualux.fr"),
            ("a!b", "b@a.virtualux.fr"),
            ("a%b.c", "a@b.c"),
            ("x!y@z.org", "x!y@z.org"),
            ("a@b.org.", "a@b.org"),
            ("a@", "a@virtualux.fr"),
            ("a@b.org..", "a@b.org.."),
            ("!a", "a@"),
            ("@h1,@h2:user@dom.org", "user@dom.org"),
            ("", ""),
        ] {
            assert_eq!(rewriter.rewrite(given), want, "{given}");
        }
    }
}
