//! Variable envelope return paths: the sender names the recipient, so that a notice says whose mail failed even when
//! it says nothing else (VERP_README).

use super::envelope;

/// Whether `delimiters` are two characters of `allowed` (verp_delimiter_filter).
pub fn is_valid(delimiters: &str, allowed: &str) -> bool {
    delimiters.chars().count() == 2 && delimiters.chars().all(|c| allowed.contains(c))
}

/// The sender for one recipient, both in internal form: "list@here", "+=" and "user@there" give
/// "list+user=there@here". A part that is missing is left out with its delimiter.
pub fn sender(sender: &str, delimiters: &str, recipient: &str) -> String {
    let mut pair = delimiters.chars();
    let (before_local, before_domain) = (pair.next(), pair.next());
    let (name, host) = envelope::split(sender);
    let (local, domain) = envelope::split(recipient);
    let mut made = name.to_owned();
    made.extend(before_local);
    made.push_str(local);
    if let Some(domain) = domain {
        made.extend(before_domain);
        made.push_str(domain);
    }
    if let Some(host) = host {
        made.push('@');
        made.push_str(host);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_names_its_recipient() {
        assert_eq!(sender("list@here", "+=", "user@there"), "list+user=there@here");
        assert_eq!(sender("list+x@here", "-=", "q =r@there"), "list+x-q =r=there@here");
        assert_eq!(sender("list", "+=", "user"), "list+user");
    }

    #[test]
    fn delimiters_are_two_of_the_allowed_characters() {
        assert!(is_valid("+=", "-=+"));
        for wrong in ["", "+", "+=-", "ab", "+é"] {
            assert!(!is_valid(wrong, "-=+"), "{wrong}");
        }
    }
}
