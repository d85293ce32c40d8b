//! The options as they are explained: `--help`, `--usage`, manual pages and completions. The names stand in the order and
//! the layout of mailutils; the words are ours.

use super::options::{OPTIONS, Opt, Takes, positive};

/// `--help`.
pub fn help(program: &str) -> String {
    let mut text = format!(
        "Usage: {program} [OPTION...] [address...]\n{}\
         Write letters and read mail: that of FILE, or of mbox, with -f.\n\n",
        forms(program)
    );
    for option in OPTIONS.iter().filter(|option| !option.help.1.is_empty()) {
        let letter = if option.letter == '\0' { "    ".to_owned() } else { format!("-{}, ", option.letter) };
        let left = format!("  {letter}--{}{}", option.long, option.value());
        if left.len() < 29 {
            text.push_str(&format!("{left:<29}{}\n", option.help.1));
        } else {
            text.push_str(&format!("{left}\n{:29}{}\n", "", option.help.1));
        }
    }
    text.push_str("\nOptions of bsd-mailx and s-nail mean here what they mean there where the value tells.\n");
    text
}

/// `--usage`: letters, letters with values, and names, each in its order, in lines of 79 columns.
pub fn usage(program: &str) -> String {
    let mut shown: Vec<&Opt> = OPTIONS.iter().filter(|option| option.long != "program-name").collect();
    shown.sort_by_key(|option| {
        (!option.letter.is_ascii_alphabetic(), option.letter.to_ascii_lowercase(), option.letter.is_ascii_uppercase())
    });
    let lettered = || shown.iter().filter(|option| option.letter != '\0');
    let flags: String = lettered().filter(|option| option.takes != Takes::Yes).map(|option| option.letter).collect();
    let mut words = vec![format!("[-{flags}]")];
    words.extend(
        lettered().filter(|option| option.takes == Takes::Yes).map(|o| format!("[-{} {}]", o.letter, o.help.0)),
    );
    shown.sort_by_key(|option| positive(option.long));
    for option in shown.iter().filter(|option| positive(option.long) == option.long) {
        let turned_off = OPTIONS.iter().any(|other| other.long != option.long && positive(other.long) == option.long);
        words.push(format!("[--{}{}{}]", if turned_off { "[no-]" } else { "" }, option.long, option.value()));
    }
    words.push("[address...]".to_owned());
    let mut text = format!("Usage: {program}");
    let mut column = text.len();
    for word in words {
        if column + 1 + word.len() > 79 {
            text.push_str("\n           ");
            column = 11;
        }
        text.push(' ');
        text.push_str(&word);
        column += 1 + word.len();
    }
    text.push('\n');
    text.push_str(&forms(program));
    text
}

/// The other ways to call it.
fn forms(program: &str) -> String {
    ["[OPTION...] [file]", "--file [OPTION...] [file]", "--file=file [OPTION...]"]
        .map(|form| format!("  or:  {program} [OPTION...] {form}\n"))
        .concat()
}

/// The same options for manual pages and completions.
pub fn clap() -> clap::Command {
    let mut command = clap::Command::new("mail")
        .about("write letters and read mail")
        .disable_help_flag(true)
        .disable_version_flag(true);
    for option in OPTIONS.iter().filter(|option| !option.help.1.is_empty()) {
        let mut arg =
            clap::Arg::new(option.long).long(option.long).help(option.help.1).action(clap::ArgAction::SetTrue);
        if option.letter != '\0' {
            arg = arg.short(option.letter);
        }
        if option.takes != Takes::No {
            arg = arg.action(clap::ArgAction::Append).value_name(option.help.0);
        }
        command = command.arg(arg);
    }
    command.arg(clap::Arg::new("address").action(clap::ArgAction::Append).help("recipients, or with -f the mailbox"))
}

/// `--show-config-options`: what this mail was built with, in mailutils' form.
pub fn build_options() -> String {
    [
        ("VERSION=", env!("CARGO_PKG_VERSION"), "version of pillarbox"),
        ("SYSCONFDIR=", "/etc", "where mail.rc is"),
        ("MAILSPOOLDIR=", "/var/mail", "where incoming mail is"),
        ("SCHEME=", "mbox", "what a mailbox is that is made"),
        ("LOG_FACILITY=", "mail", "of syslog"),
        ("IPV6", "", "mailboxes on servers over IPv6"),
        ("WITH_READLINE", "", "lines are edited at a terminal (rustyline)"),
        ("ENABLE_IMAP", "", "mailboxes on IMAP servers"),
        ("ENABLE_POP", "", "mailboxes on POP3 servers"),
        ("ENABLE_MAILDIR", "", "maildirs"),
        ("ENABLE_SENDMAIL", "", "letters go to sendmail"),
    ]
    .iter()
    .map(|(name, value, about)| format!("{name}{value} \t- {about}\n"))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clap_command_is_well_formed() {
        clap().debug_assert();
    }

    #[test]
    fn usage_has_every_name_once_in_lines_that_fit() {
        let text = usage("mail");
        assert!(text.lines().all(|line| line.len() <= 79), "{text}");
        assert!(text.starts_with("Usage: mail [-defFHiIMnNpqRtvV?~] [-a ") && text.contains(" [-s SUBJECT]"), "{text}");
        for option in OPTIONS.iter().filter(|option| option.long != "program-name") {
            let name = positive(option.long);
            let forms = [format!("--{name}{}]", option.value()), format!("--[no-]{name}]")];
            assert_eq!(forms.iter().map(|form| text.matches(form.as_str()).count()).sum::<usize>(), 1, "{name}");
        }
    }
}
