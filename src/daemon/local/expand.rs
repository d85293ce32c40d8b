//! What an alias or a .forward file says: a list of addresses, "|command", /file and :include:/file (aliases(5)).

use crate::message::tokens;

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    Address(String),
    Command(String),
    File(String),
    Include(String),
}

/// Splits a value into its members; comments ("# ...") at the start of a line are skipped. Words side by side are
/// members of their own, as in the reference: a command with blanks stands in quotes, `"|cmd arg"` or `|"cmd arg"`.
pub fn targets(text: &str) -> Vec<Target> {
    let lines = text.split('\n').filter(|line| !line.trim_start().starts_with('#'));
    lines.flat_map(tokens::addresses).map(classify).collect()
}

fn classify(member: String) -> Target {
    if let Some(command) = member.strip_prefix('|') {
        return Target::Command(command.trim().to_owned());
    }
    if member.starts_with('/') {
        return Target::File(member);
    }
    match member.get(..9).filter(|head| head.eq_ignore_ascii_case(":include:")) {
        Some(_) => Target::Include(member[9..].trim().to_owned()),
        None => Target::Address(member),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_aliases() {
        let value = "toto, \"|cat >/tmp/out; echo a, b\", /tmp/file, :include:/tmp/inc, \\titi, \"Jean D\" <jean@x>";
        assert_eq!(
            targets(value),
            [
                Target::Address("toto".into()),
                Target::Command("cat >/tmp/out; echo a, b".into()),
                Target::File("/tmp/file".into()),
                Target::Include("/tmp/inc".into()),
                Target::Address("titi".into()),
                Target::Address("jean@x".into()),
            ]
        );
        assert_eq!(targets("# comment\n\n|exit 1\n"), [Target::Command("exit".into()), Target::Address("1".into())]);
        assert_eq!(targets("|\"exit 1\""), [Target::Command("exit 1".into())]);
    }
}
