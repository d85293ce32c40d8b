//! `postfix lint`: what is wrong, or will be, with a configuration that Postfix reads without a word. Each finding
//! names file and line, puts a caret under the culprit, says why it matters and what to write instead. Nothing is
//! changed, and no mail is touched.
//!
//! A lint is one file here, one row of [`LINTS`], and one page in docs/lints/.

/// A domain in two address classes.
mod address_classes;
/// Aliases: loops, missing members, commands.
mod aliases;
/// Certificates.
mod certificates;
/// Comments after values.
mod comments;
/// Old names, and those of a newer Postfix.
mod dated;
/// Where findings are put.
mod finding;
/// .forward files.
mod forward;
/// What is looked at.
mod ground;
/// inet_interfaces and what it names.
mod interfaces;
/// Names that mean nothing.
mod names;
/// mynetworks.
mod networks;
/// myorigin's file.
mod origin;
/// The queue's file system.
mod queue;
/// Strangers' mail to strangers.
mod relay;
/// relayhost.
mod relayhost;
/// For people and for programs.
pub mod render;
/// Restriction lists.
mod restrictions;
/// Submission services.
mod submission;
/// Lookup tables.
mod tables;
/// Key files.
mod tls;
/// Types and ranges.
mod values;

pub use finding::{Finding, Findings, Level, Span};
pub use ground::Ground;

use std::path::Path;

/// One lint.
pub struct Lint {
    pub name: &'static str,
    /// Its page of the documentation.
    pub page: &'static str,
    check: fn(&Ground, &mut Findings),
}

macro_rules! lints {
    ($($name:literal $check:path;)*) => {
        /// Every lint, by name.
        pub const LINTS: &[Lint] = &[
            $(Lint { name: $name, page: include_str!(concat!("../../docs/lints/", $name, ".md")), check: $check },)*
        ];
    };
}

lints! {
    "alias-command" aliases::commands;
    "alias-loop" aliases::loops;
    "alias-postmaster" aliases::postmaster;
    "alias-target" aliases::targets;
    "bad-value" values::check;
    "certificate-expired" certificates::expired;
    "certificate-name" certificates::name;
    "comment-in-value" comments::check;
    "defined-twice" names::twice;
    "deprecated-name" dated::old;
    "domain-in-two-classes" address_classes::check;
    "forward-permissions" forward::check;
    "interface-missing" interfaces::check;
    "newer-parameter" dated::newer;
    "open-relay" relay::check;
    "origin-file" origin::check;
    "queue-full" queue::check;
    "relayhost-loops" relayhost::check;
    "silent-continuation" comments::continuation;
    "submission-unprotected" submission::check;
    "table-missing" tables::missing;
    "table-outdated" tables::outdated;
    "tls-key-readable" tls::key;
    "undefined-name" names::undefined;
    "unknown-parameter" names::unknown;
    "unknown-restriction" restrictions::unknown;
    "unreachable-restriction" restrictions::unreachable;
    "unused-parameter" names::unused;
    "unverified-address" restrictions::unverified;
    "wide-mynetworks" networks::check;
}

/// Everything that the lints find in the configuration of `directory`, by file and line. Err: the files cannot be read
/// at all, in the words of `postfix check`.
pub fn run(directory: &Path) -> Result<(Ground, Vec<Finding>), String> {
    let ground = Ground::read(directory)?;
    crate::table::process::adopt(&ground.cf, None);
    let mut findings = Findings::default();
    for lint in LINTS {
        findings.lint = lint.name;
        (lint.check)(&ground, &mut findings);
    }
    let mut list = findings.list;
    list.sort_by(|a, b| {
        let place = |finding: &Finding| finding.span.as_ref().map(|span| (span.file.clone(), span.line));
        place(a).cmp(&place(b))
    });
    Ok((ground, list))
}
