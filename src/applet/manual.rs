//! Manual pages and completions, made from the applet table: the options come from each applet's command line, the
//! rest is written here. `man/` and `completions/` hold the result; a test makes them again and compares.

use super::{APPLETS, Applet, Purpose};
use clap_complete::Shell;

/// What an option list does not say.
struct Section {
    applet: &'static str,
    title: &'static str,
    text: &'static str,
}

const SECTIONS: &[Section] = &[
    Section {
        applet: "sendmail",
        title: "DESCRIPTION",
        text: "Reads a message from standard input and hands it to the mail system. Status 0 means that the message is on disk, also when the mail system does not run: it is delivered when that starts. Called as mailq it lists the queue; called as newaliases it builds the tables of alias_database again.",
    },
    Section {
        applet: "sendmail",
        title: "EXIT STATUS",
        text: "0: accepted. 64: the command line is wrong, or no recipient was named. 69: the message is too big, or the queue cannot be listed. 75: it could not be stored now, or main.cf cannot be read; try again.",
    },
    Section {
        applet: "sendmail",
        title: "ENVIRONMENT",
        text: "MAIL_CONFIG: the directory of main.cf. NAME: the sender's full name.",
    },
    Section {
        applet: "postfix",
        title: "DESCRIPTION",
        text: "Controls the mail system. start runs the check, makes missing queue directories and starts the master in the background; when it returns, clients can connect. start-fg stays in the foreground. stop lets deliveries end first. reload reads main.cf and master.cf again without dropping a connection. check says what is wrong and is silent otherwise. status tells whether it runs. flush tries all deferred mail now.",
    },
    Section {
        applet: "postfix",
        title: "LINT",
        text: "lint looks for what Postfix reads without a word and somebody will regret: misspelt names, comments that are part of a value, tables that were never built, aliases that lead to nobody, networks that are too wide. Each finding names file and line, why it matters and what to write instead. --json writes one object a finding: lint, level, message, why, help, and file, line, column, end_column where it has a place. --explain LINT shows the page of one lint. It ends with 0 when there is nothing, 1 after warnings, 2 after errors.",
    },
    Section {
        applet: "postfix",
        title: "EXPLAIN",
        text: "explain --from SENDER --to RECIPIENT [--client IP [--helo NAME]] [--json] tells what would happen to a mail: each restriction, table and list that is asked, how addresses are rewritten and expanded, transport and next hop, the verdict. It runs the code that the daemons run; nothing is sent, queued or logged, though tables, policy servers and the DNS are asked. Without --client the mail is a user's, by sendmail. It ends with 0 when the mail is taken, 1 when it is refused or comes back, 75 when it is put off.",
    },
    Section {
        applet: "postfix",
        title: "EXIT STATUS",
        text: "0: done. 1: it failed, it runs already (start), or it does not run (stop, reload, status).",
    },
    Section {
        applet: "postfix",
        title: "FILES",
        text: "/etc/postfix/main.cf, /etc/postfix/master.cf, /var/spool/postfix. An instance of one's own needs no root: set mail_owner to one's own name, put queue_directory and data_directory where one may write, and list the users in the passwd file of the configuration directory.",
    },
    Section {
        applet: "mail",
        title: "DESCRIPTION",
        text: "Without recipients it reads mail: the list of messages, then commands; ? lists them. With recipients it sends: Cc and Subject are asked for where the start-up file says so, the text ends with Ctrl-D or a single dot. What is read goes to ~/mbox at q and stays at x. Text of a message never reaches a terminal as control characters.",
    },
    Section {
        applet: "pop3d",
        title: "DESCRIPTION",
        text: "Lets mail readers fetch mail, by the settings of /etc/dovecot/dovecot.conf. It can also be a service of master.cf: pop3 inet n - n - - pop3d.",
    },
    Section {
        applet: "pflogsumm",
        title: "DESCRIPTION",
        text: "Summarises mail logs: who sent and received how much, what was deferred, bounced and rejected, when, and what was warned about. Logs that gzip, bzip2, xz or zstd have compressed are read as they lie there.",
    },
    Section {
        applet: "postconf",
        title: "DESCRIPTION",
        text: "Shows main.cf and master.cf as the mail system reads them, and changes them: name=value pairs are written in place, by a temporary file and a rename, comments and order kept.",
    },
    Section {
        applet: "postmap",
        title: "DESCRIPTION",
        text: "Builds the database of a lookup table from its text, or asks one. Files are written under a temporary name and renamed, so that readers see the old table or the new one.",
    },
    Section { applet: "postalias", title: "DESCRIPTION", text: "postmap for files in the form of aliases(5)." },
    Section {
        applet: "postqueue",
        title: "DESCRIPTION",
        text: "Lists the queue for everyone whom authorized_mailq_users allows, and asks for another delivery attempt.",
    },
    Section {
        applet: "postsuper",
        title: "DESCRIPTION",
        text: "Works on queue files directly; for root, or for the owner of an instance of one's own. ALL stands for every message; - reads queue ids from standard input, such as the first words of mailq's lines.",
    },
    Section {
        applet: "postcat",
        title: "DESCRIPTION",
        text: "Shows the envelope, headers and body of queue files, which hold binary records.",
    },
    Section {
        applet: "postkick",
        title: "DESCRIPTION",
        text: "Sends a request to the socket of a service, below the queue directory: W wakes pickup, I lets the queue manager look at new mail, D and F at deferred mail, A forgets when it is due.",
    },
    Section {
        applet: "postlock",
        title: "DESCRIPTION",
        text: "Locks a mail folder in the ways that mail delivery uses, runs a command and ends with its status. 75 means that the folder could not be locked or the command not run.",
    },
    Section {
        applet: "postlog",
        title: "DESCRIPTION",
        text: "Writes text, or each line of standard input, to the mail log in the form of the mail system's own lines.",
    },
];

/// Manual pages as (path under share/man, text).
pub fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = APPLETS
        .iter()
        .filter(|applet| !applet.links.is_empty())
        .map(|applet| (format!("man{0}/{1}.{0}", applet.section, applet.name), page(applet)))
        .collect();
    pages.push(("man1/pillarbox.1".to_owned(), overview()));
    // Names that are the same program get a page that points to it.
    for (name, target) in [("mailq", "sendmail"), ("newaliases", "sendmail")] {
        pages.push((format!("man1/{name}.1"), format!(".so man1/{target}.1\n")));
    }
    pages.sort();
    pages
}

fn page(applet: &Applet) -> String {
    let command =
        (applet.cli)().disable_help_flag(true).disable_version_flag(true).name(applet.name).about(applet.about);
    let section = applet.section.to_string();
    let man = clap_mangen::Man::new(command)
        .title(applet.name.to_uppercase())
        .section(section)
        .date("")
        .source(format!("pillarbox {}", env!("CARGO_PKG_VERSION")))
        .manual("pillarbox mail system");
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = man.render_title(&mut text);
    let _ = man.render_name_section(&mut text);
    let _ = man.render_synopsis_section(&mut text);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    for section in SECTIONS.iter().filter(|section| section.applet == applet.name && section.title == "DESCRIPTION") {
        text.push_str(&format!(".SH \"{}\"\n{}\n", section.title, roff(section.text)));
    }
    let mut options = Vec::new();
    let _ = man.render_options_section(&mut options);
    let options = String::from_utf8_lossy(&options).into_owned();
    let mut tail = String::new();
    let own = SECTIONS.iter().filter(|section| section.applet == applet.name && section.title != "DESCRIPTION");
    for section in own {
        tail.push_str(&format!(".SH \"{}\"\n{}\n", section.title, roff(section.text)));
    }
    if applet.name == "pflogsumm" {
        tail.push_str(&super::pflogsumm::manual::sections());
    }
    let others: Vec<String> = APPLETS
        .iter()
        .filter(|other| !other.links.is_empty() && other.purpose == applet.purpose && other.name != applet.name)
        .map(|other| format!("{}({})", other.name, other.section))
        .collect();
    tail.push_str(".SH \"SEE ALSO\"\npillarbox(1)");
    others.iter().for_each(|other| tail.push_str(&format!(", {other}")));
    format!("{text}{options}{tail}\n")
}

fn overview() -> String {
    let mut text = format!(
        ".TH PILLARBOX 1 \"\" \"pillarbox {}\" \"pillarbox mail system\"\n.SH NAME\npillarbox \\- a mail system in one file\n.SH SYNOPSIS\n\\fBpillarbox\\fR \\fINAME\\fR [\\fIARGUMENT\\fR...]\n.SH DESCRIPTION\n{}\n",
        env!("CARGO_PKG_VERSION"),
        roff(
            "One binary that answers to the commands below, by the name of the link that calls it or by its first argument. It reads Postfix's and Dovecot's configuration and writes Postfix's log lines."
        )
    );
    for (purpose, title) in super::PURPOSES {
        text.push_str(&format!(".SH \"{}\"\n", title.to_uppercase()));
        for applet in APPLETS.iter().filter(|applet| applet.purpose == *purpose) {
            text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", applet.name, roff(applet.about)));
        }
    }
    text
}

/// Text as roff: hyphens are hyphens, and no line begins with a control character.
pub fn roff(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .lines()
        .map(|line| line.trim_start_matches(['.', '\'']))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Completions as (path under share, text), for bash, zsh and fish.
pub fn completions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for applet in APPLETS.iter().filter(|applet| applet.purpose != Purpose::House) {
        for (shell, path) in [
            (Shell::Bash, format!("bash-completion/completions/{}", applet.name)),
            (Shell::Zsh, format!("zsh/site-functions/_{}", applet.name)),
            (Shell::Fish, format!("fish/vendor_completions.d/{}.fish", applet.name)),
        ] {
            let mut command = (applet.cli)().disable_help_flag(true).disable_version_flag(true).name(applet.name);
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command, applet.name, &mut text);
            found.push((path, String::from_utf8_lossy(&text).into_owned()));
        }
    }
    found.sort();
    found
}
