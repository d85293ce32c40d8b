//! The record stream of a submission: envelope, content, and the recipients that -t found, in the reference's order.

use super::content;
use super::options::{Submission, Trace};
use super::refuse;
use super::submit::Person;
use crate::applet::voice::Voice;
use crate::conf::MainCf;
use crate::exit::Failure;
use crate::ipc::delivery::trace;
use crate::message::tokens;
use crate::queue::record::{self, Type};
use crate::sys::accounts;

/// Bytes of a record with the time of arrival: type, length, seconds, blank, microseconds.
const ARRIVAL: usize = 2 + 10 + 1 + 6;

/// The sender, and the records.
pub fn compose(cf: &MainCf, submission: &Submission, voice: &Voice) -> Result<(String, Vec<u8>), Failure> {
    let account = accounts::caller();
    let login = account.as_ref().map(|account| account.name.to_string_lossy().into_owned());
    let sender = match (&submission.sender, &login) {
        (Some(text), _) => named_sender(text, voice),
        (None, Some(login)) => login.clone(),
        (None, None) => return Err(refuse(format!("no login name found for user ID {}", accounts::real_uid()))),
    };
    // Refusals name the sender as given.
    let person = Person::new(&sender, voice);
    if submission.recipients.is_empty() && !submission.extract {
        return Err(person.refuse("Recipient addresses must be specified on the command line or via the -t option"));
    }
    if submission.verp.is_some() && sender.is_empty() {
        return Err(person.refuse("-V option requires non-null sender address"));
    }
    let mut stream = Vec::new();
    let mut put = |kind, data: &str| drop(record::write(&mut stream, kind, clean(data).as_bytes()));
    if !submission.envelope_id.is_empty() {
        put(Type::ATTRIBUTE, &format!("envelope_id={}", submission.envelope_id));
    }
    if submission.ret != 0 {
        put(Type::ATTRIBUTE, &format!("ret_flags={}", submission.ret));
    }
    put(Type::ATTRIBUTE, if submission.gateway { "rewrite_context=remote" } else { "rewrite_context=local" });
    if let Some(name) = full_name(submission, account.as_ref()) {
        put(Type::FULL_NAME, &name);
    }
    put(Type::SENDER, &sender);
    if let Some(delimiters) = &submission.verp {
        put(Type::VERP, delimiters);
    }
    if let Some(encoding) = submission.encoding {
        put(Type::ATTRIBUTE, &format!("encoding={encoding}"));
    }
    let flags = match submission.trace {
        Trace::None => 0,
        Trace::Record => trace::RECORD,
        Trace::Verify => trace::VERIFY,
    };
    if flags != 0 {
        put(Type::ATTRIBUTE, &format!("trace_flags={flags}"));
    }
    let notify = (submission.notify != 0).then(|| format!("notify_flags={}", submission.notify));
    for recipient in submission.recipients.iter().flat_map(|text| recipients_of(text)) {
        // Of nobody there is nothing to tell.
        notify.iter().filter(|_| !recipient.is_empty()).for_each(|attribute| put(Type::ATTRIBUTE, attribute));
        put(Type::RECIPIENT, &recipient);
    }
    put(Type::MESSAGE, "");
    let mut found = content::Extracted::default();
    if submission.trace == Trace::Verify {
        probe(submission, &sender, &mut stream)?;
    } else {
        found = content::copy(cf.message_limit(), submission, &person, &mut stream)?;
    }
    let mut put = |kind, data: &str| drop(record::write(&mut stream, kind, clean(data).as_bytes()));
    put(Type::EXTRACTED, "");
    if submission.extract {
        if found.recipients().is_empty() && submission.recipients.is_empty() {
            return Err(person.refuse("No recipient addresses found in message header"));
        }
        for recipient in found.recipients() {
            notify.iter().for_each(|attribute| put(Type::ATTRIBUTE, attribute));
            put(Type::RECIPIENT, recipient);
        }
    }
    put(Type::END, "");
    // message_size_limit is for the whole file, which begins with the time of arrival; here it is known who sends.
    let limit = cf.message_limit();
    if limit > 0 && (stream.len() + ARRIVAL) as u64 > limit {
        return Err(person.too_big());
    }
    Ok((sender, stream))
}

/// -bv takes no message: this stands for one, in the report too.
fn probe(submission: &Submission, sender: &str, stream: &mut Vec<u8>) -> std::io::Result<()> {
    record::write(stream, Type::NORMAL, format!("From: {}", clean(sender)).as_bytes())?;
    record::write(stream, Type::NORMAL, b"Subject: probe")?;
    record::write(stream, Type::CONTINUED, b"To:")?;
    let last = submission.recipients.len().saturating_sub(1);
    for (at, recipient) in submission.recipients.iter().enumerate() {
        let comma = if at < last { "," } else { "" };
        record::write(stream, Type::NORMAL, format!("\t{}{comma}", clean(recipient)).as_bytes())?;
    }
    Ok(())
}

/// -F, else $NAME, else the gecos field with "&" for the login name.
fn full_name(submission: &Submission, account: Option<&accounts::Account>) -> Option<String> {
    if let Some(name) = &submission.full_name {
        return Some(name.clone());
    }
    let named = std::env::var_os("NAME").map(|name| name.to_string_lossy().into_owned());
    if let Some(name) = named.filter(|name| !name.is_empty()) {
        return Some(name);
    }
    let account = account?;
    let login = account.name.to_string_lossy();
    let mut capital = login.chars();
    let capital: String = capital.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(capital).collect();
    Some(account.full_name.replace('&', &capital)).filter(|name| !name.is_empty())
}

/// -f: one address, in whatever form a header may have it; of several the first.
fn named_sender(text: &str, voice: &Voice) -> String {
    let mut found = tokens::addresses(text);
    if found.len() > 1 {
        voice.warning(format!("-f option specified malformed sender: {text}"));
    }
    if found.is_empty() { String::new() } else { found.swap_remove(0) }
}

/// The addresses in an operand; one that has none is the empty address.
fn recipients_of(text: &str) -> Vec<String> {
    let found = tokens::addresses(text);
    if found.is_empty() { vec![String::new()] } else { found }
}

/// Envelope text without controls; those are nobody's address and could become lines elsewhere.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
