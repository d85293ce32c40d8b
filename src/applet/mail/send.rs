//! A letter from the command line: its recipients from the operands or, with `-t`, from the header of its text.

use super::compose::{self, Manner, Outcome};
use super::letter::Letter;
use super::recipients;
use super::session::{Session, Trouble};
use super::wishes::Wishes;
use crate::exit::Exit;
use crate::message::{charset, header};

/// A letter from the command line.
pub fn send(session: &mut Session, mut letter: Letter, operands: &[String], wishes: &Wishes) -> Result<Exit, Trouble> {
    if wishes.to {
        let mut text = session.input.rest()?;
        if session.variables.is_set("dot") {
            // A dot is the end of a text, not of a header.
            let mut body = text.split_off(header::split(&text).0.len());
            compose::cut_at_dot(&mut body);
            text.append(&mut body);
        }
        // What cannot begin a header does not.
        let mut start = 0;
        let mut at = 0;
        while at < text.len() && [b'\n', b' ', b'\t'].contains(&text[at]) {
            at = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end + 1);
            start += 1;
        }
        text.drain(..at);
        from_text(session, &mut letter, &text, start)?;
        let manner = Manner { skip_empty: wishes.skip_empty, for_nobody: true, ..Manner::default() };
        return finish(session, letter, manner, true);
    }
    for (name, value) in session.send_headers.clone() {
        letter.put(&name, &value);
    }
    match addressed(session, &mut letter, operands) {
        Ok(true) => {}
        // Named, and called nothing: that is no letter, and no failure.
        Ok(false) => return Ok(Exit::OK),
        Err(trouble @ Trouble::Address(_)) => {
            session.tell(trouble)?;
            // The text is read to its end: whoever writes it into a pipe has done nothing wrong.
            let mut text = session.input.rest()?;
            if session.variables.is_set("dot") {
                compose::cut_at_dot(&mut text);
            }
            let say = session.setting("nullbodymsg");
            if !session.interactive() && text.is_empty() && !say.is_empty() && !letter.is_standard_input {
                let say = session.texts.say(&say, &[]);
                session.complain(&say);
            }
            return compose::check_attached(session, &letter).map(|()| Exit::OK);
        }
        Err(other) => return Err(other),
    }
    let manner = Manner { ask: true, whole_input: true, skip_empty: wishes.skip_empty, ..Manner::default() };
    finish(session, letter, manner, false)
}

/// Puts the recipients into the header; false when they are called nothing.
fn addressed(session: &mut Session, letter: &mut Letter, operands: &[String]) -> Result<bool, Trouble> {
    if !operands.is_empty() {
        let mut lists = operands.to_vec();
        lists.splice(0..0, letter.header("To").map(str::to_owned));
        let to = recipients::joined(session, &lists)?;
        letter.put("To", &to);
        if let Some(blank) = operands.iter().find(|name| !name.is_empty()).filter(|_| to.trim().is_empty()) {
            return Err(recipients::malformed(session, blank));
        }
        if to.is_empty() {
            return Ok(false);
        }
    }
    if !recipients::any(letter) && !session.interactive() {
        return Err(session.trouble("No recipients specified", &[]));
    }
    // A mistaken address is told before the text is written.
    match recipients::check(session, letter, false)? {
        Some(mistake) if !recipients::any(letter) => Err(mistake),
        Some(mistake) => Ok(session.tell(mistake).map(|()| true)?),
        None => Ok(true),
    }
}

fn finish(session: &mut Session, letter: Letter, manner: Manner, complete: bool) -> Result<Exit, Trouble> {
    let manner = if complete { Manner { whole_input: true, ask: false, ..manner } } else { manner };
    match compose::compose(session, letter, manner)? {
        Outcome::Sent => Ok(Exit::OK),
        Outcome::Failed => Ok(Exit::FAIL),
    }
}

/// `-t`: the header that begins the text is the letter's. `skipped` lines stood before it.
fn from_text(session: &mut Session, letter: &mut Letter, text: &[u8], skipped: usize) -> Result<(), Trouble> {
    let (block, body) = header::split(text);
    let complete = block.ends_with(b"\n\n") || block == b"\n" || body.is_empty();
    let first_bad = block.split(|&byte| byte == b'\n').position(|line| {
        !line.is_empty()
            && !line.starts_with(b" ")
            && !line.starts_with(b"\t")
            && header::fields(&[line, b"\n"].concat()).next().is_none()
    });
    if let Some(line) = first_bad.filter(|_| complete) {
        let say = session.texts.say("{}: not a header line", &[&(line + 1 + skipped).to_string()]);
        session.complain(&say);
        return Err(session.trouble("Errors parsing message", &[]));
    }
    let own = letter.clone();
    let mut merged = Letter::default();
    for field in header::fields(block) {
        let name = String::from_utf8_lossy(field.name).into_owned();
        let folded = field.value.is_ascii() && memchr::memchr(b'\n', field.value.trim_ascii_end()).is_some();
        let text = if folded { field.value.trim_ascii().to_vec() } else { header::unfold(field.value) };
        let value = charset::decode(&text, None);
        let list = ["To", "Cc", "Bcc"].iter().any(|known| known.eq_ignore_ascii_case(&name));
        if list && let Some(old) = merged.header(&name) {
            // One list of recipients, however many lines it came in.
            let all = format!("{old},{value}");
            merged.put(&name, &all);
        } else if list || own.header(&name).is_none() {
            merged.add_folded(&name, &value);
        }
    }
    for (name, value) in own.headers().to_vec() {
        merged.add(&name, &value);
    }
    merged.body = body.to_vec();
    merged.attachments = own.attachments;
    merged.content_type = own.content_type;
    merged.encoding = own.encoding;
    merged.mime = own.mime;
    merged.unreadable = own.unreadable;
    *letter = merged;
    Ok(())
}
