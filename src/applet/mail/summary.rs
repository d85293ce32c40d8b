//! Summaries: the line about the mailbox, and one line a message after the `headline` variable.

use super::session::{OpenBox, Session, Trouble};
use super::texts::{FRENCH_DAYS, FRENCH_MONTHS, Texts};
use super::threads;
use crate::message::{address, charset, date, header};
use jiff::civil::DateTime;
use unicode_width::UnicodeWidthChar;

/// `"/var/mail/toto": 3 messages 3 new`.
pub fn mailbox_line(session: &Session) -> String {
    let texts = session.texts;
    let Some(open) = &session.open else { return texts.say("\"{}\": {} messages", &["", "0"]) };
    let count = |wanted: &dyn Fn(usize) -> bool| (0..open.count()).filter(|&index| wanted(index)).count();
    let mut line = texts.count(
        open.count(),
        "\"{}\": {} message",
        "\"{}\": {} messages",
        &[&open.name, &open.count().to_string()],
    );
    for (number, one, many) in [
        (count(&|index| open.is_new(index)), " {} new", " {} new "),
        (count(&|index| open.is_old_unread(index)), " {} unread", " {} unread "),
        (count(&|index| open.states[index].deleted), " {} deleted", " {} deleted "),
    ] {
        if number > 0 {
            line.push_str(texts.count(number, one, many, &[&number.to_string()]).trim_end());
        }
    }
    line
}

/// Lines of these messages, on the screen.
pub fn print(session: &mut Session, indices: &[usize]) -> Result<(), Trouble> {
    let Some(format) = session.variables.text("headline") else { return Ok(()) };
    let (format, unknown) = Format::parse(&format);
    for specifier in unknown {
        let specifier = specifier.map(String::from).unwrap_or_default();
        let say = session.texts.say("unknown format specifier: %{}", &[&specifier]);
        session.complain(&say);
    }
    let columns = usize::try_from(session.variables.number("columns").unwrap_or(80)).unwrap_or(80);
    // No width at all is no limit.
    let columns = if columns == 0 { usize::MAX } else { columns };
    let current = session.open.as_ref().map_or(0, OpenBox::current);
    let places = in_order(session, indices)?;
    let colour = session.screen.colours && !session.variables.was_taken_back("color");
    for place in places {
        let index = place.index;
        if !session.there(index)? {
            continue;
        }
        let Some(open) = session.open.as_ref() else { break };
        let about = About { index, current, depth: place.depth };
        let line = cut(&format.line(session, open, about, columns)?, columns.saturating_sub(2));
        if colour && !open.is_read(index) {
            session.screen.emphasis(line.as_bytes())?;
        } else {
            session.screen.message(line.as_bytes())?;
        }
        session.screen.message(b"\n")?;
    }
    Ok(())
}

/// Messages in the order of the summary: as they stand, or with `threads` the answers below what they answer.
fn in_order(session: &Session, indices: &[usize]) -> Result<Vec<threads::Place>, Trouble> {
    let Some(open) = session.open.as_ref().filter(|_| session.variables.is_set("threads")) else {
        return Ok(indices.iter().map(|&index| threads::Place { index, depth: 0 }).collect());
    };
    // A thread may begin outside the part that is shown.
    let living: Vec<usize> = (0..open.count()).filter(|&index| !open.states[index].deleted).collect();
    let wanted: std::collections::HashSet<usize> = indices.iter().copied().collect();
    let mut places = threads::order(open, &living)?;
    places.retain(|place| wanted.contains(&place.index));
    Ok(places)
}

/// The messages that are not deleted, in the order of the summary.
pub fn listed(session: &Session) -> Result<Vec<usize>, Trouble> {
    let Some(open) = &session.open else { return Ok(Vec::new()) };
    let living: Vec<usize> = (0..open.count()).filter(|&index| !open.states[index].deleted).collect();
    Ok(in_order(session, &living)?.into_iter().map(|place| place.index).collect())
}

/// Lines of a screenful.
pub fn height(session: &Session) -> usize {
    usize::try_from(session.variables.number("screen").unwrap_or(22)).unwrap_or(22).max(1)
}

/// The messages of the screenful that holds the current one: the one that was shown last, or one that begins with the
/// current message; the last one is full too.
pub fn screenful(session: &mut Session) -> Result<Vec<usize>, Trouble> {
    let height = height(session);
    let listed = listed(session)?;
    let Some(open) = &mut session.open else { return Ok(Vec::new()) };
    let current = open.current();
    let at = listed.iter().position(|&index| index == current).unwrap_or(0);
    if at < open.top || at >= open.top.saturating_add(height) {
        open.top = at;
    }
    open.top = open.top.min(listed.len().saturating_sub(height));
    Ok(listed[open.top..(open.top + height).min(listed.len())].to_vec())
}

/// Columns of "mer. sept. 24 10:05", the widest date in French.
const FRENCH_DATE: usize = 19;

/// A parsed headline.
pub struct Format {
    pieces: Vec<Piece>,
}

/// Which message a line is about, which one is current, and how deep it stands in its thread.
#[derive(Clone, Copy)]
struct About {
    index: usize,
    current: usize,
    depth: usize,
}

enum Piece {
    Text(String),
    Field { letter: char, width: Option<usize>, left: bool, date: Option<String> },
}

impl Format {
    /// The format, and the letters in it that mean nothing.
    pub fn parse(text: &str) -> (Format, Vec<Option<char>>) {
        let mut pieces = Vec::new();
        let mut unknown = Vec::new();
        let mut plain = String::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if character != '%' {
                plain.push(character);
                continue;
            }
            let left = characters.next_if(|c| ['-', '+'].contains(c)) == Some('-');
            let mut digits = String::new();
            while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            let width = digits.parse().ok().filter(|width| *width > 0 && *width < 1000);
            let Some(letter) = characters.next() else {
                unknown.push(None);
                break;
            };
            let mut format = None;
            if letter == 'D' && characters.next_if_eq(&'{').is_some() {
                format = Some(characters.by_ref().take_while(|c| *c != '}').collect());
            }
            match letter {
                '%' => plain.push('%'),
                'a' | 'd' | 'D' | 'f' | 'l' | 'L' | 'm' | 'o' | 's' | 'S' | '>' | '<' => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Field { letter, width, left, date: format });
                }
                other => unknown.push(Some(other)),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        (Format { pieces }, unknown)
    }

    fn line(&self, session: &Session, open: &OpenBox, about: About, columns: usize) -> Result<String, Trouble> {
        let About { index, current, depth } = about;
        let message = open.mbox.messages()[index];
        let block = open.mbox.header(&message, 64 * 1024)?;
        let mut out = String::new();
        let mut used = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => {
                    out.push_str(text);
                    used += width_of(text);
                }
                Piece::Field { letter, width, left, date } => {
                    let value = match letter {
                        'a' => state_letter(open, index).to_string(),
                        'm' => (index + 1).to_string(),
                        'l' | 'L' => message.lines.to_string(),
                        'o' => message.written_size().to_string(),
                        '>' => if index == current { ">" } else { " " }.to_owned(),
                        '<' => if index == current { "<" } else { " " }.to_owned(),
                        'f' => plain(session, sender(session, open, index, &block)?),
                        's' => format!("{}{}", "  ".repeat(depth.min(10)), plain(session, subject(&block))),
                        'S' if header::find(&block, "Subject").is_none() => String::new(),
                        'S' if width.is_none() => {
                            format!("\"{}\"", cut(&plain(session, subject(&block)), columns.saturating_sub(used + 4)))
                        }
                        'S' => format!("\"{}\"", plain(session, subject(&block))),
                        _ => when(session, open, index, &block, date.as_deref())?,
                    };
                    // The last screen columns stay free: the two that a terminal wraps at.
                    let room = columns.saturating_sub(used + 2);
                    let (text, width) = match (letter, *width) {
                        ('s' | 'S', None) => (cut(&value, room), None),
                        // The width that an English date has is too narrow for a French one.
                        ('d' | 'D', Some(16)) if date.is_none() && session.texts.has_french_dates() => {
                            (value, Some(FRENCH_DATE))
                        }
                        (_, width) => (value, width),
                    };
                    // A message's number is shown even when it is longer than its column.
                    let numeric = "mloL".contains(*letter);
                    let text = match width {
                        None => text,
                        Some(width) if *letter == 'm' => pad(&text, width, *left),
                        Some(width) if numeric => pad(&cut(&text, width), width, *left),
                        Some(width) => pad(&cut(&text, width), width, true),
                    };
                    used += width_of(&text);
                    out.push_str(&text);
                }
            }
        }
        Ok(out)
    }
}

/// In a locale of ASCII alone other characters are shown as the octal numbers of their bytes.
pub fn plain(session: &Session, text: String) -> String {
    if text.is_ascii() || !session.texts.ascii {
        return text;
    }
    text.bytes()
        .map(|byte| if byte.is_ascii() { char::from(byte).to_string() } else { format!("\\{byte:03o}") })
        .collect()
}

/// The status letter.
fn state_letter(open: &OpenBox, index: usize) -> char {
    let state = open.states[index];
    if state.mboxed {
        'M'
    } else if state.saved {
        '*'
    } else if state.preserved {
        'P'
    } else if state.tagged {
        'T'
    } else if state.shown {
        'R'
    } else if open.is_new(index) {
        'N'
    } else if !open.is_read(index) {
        'U'
    } else {
        ' '
    }
}

/// The sender's name, or the address; with `showto` the recipient of one's own letters.
pub fn sender(session: &Session, open: &OpenBox, index: usize, block: &[u8]) -> Result<String, Trouble> {
    if !session.variables.is_set("fromfield") {
        let line = open.mbox.from_line(&open.mbox.messages()[index])?;
        return Ok(date::from_line_sender(&line));
    }
    let from = header::find(block, "From").unwrap_or_default();
    if session.variables.is_set("showto")
        && address::parse(&String::from_utf8_lossy(&from)).is_ok_and(|all| all.iter().any(|one| session.is_own(one)))
        && let Some(to) = header::find(block, "To")
    {
        return Ok(short_name(&to));
    }
    Ok(short_name(&from))
}

/// "Jean Dupont <j@x>" is Jean Dupont, "j@x" is j@x.
pub fn short_name(value: &[u8]) -> String {
    let text = charset::decode_words(value);
    let raw = String::from_utf8_lossy(value);
    match address::parse(&raw).ok().and_then(|all| all.into_iter().next()) {
        Some(one) => one.name.map_or(one.mailbox, |name| charset::decode_words(name.as_bytes())),
        None => text,
    }
}

fn subject(block: &[u8]) -> String {
    charset::decode_words(&header::find(block, "Subject").unwrap_or_default())
}

fn when(
    session: &Session,
    open: &OpenBox,
    index: usize,
    block: &[u8],
    format: Option<&str>,
) -> Result<String, Trouble> {
    let of_header = || {
        let value = header::find(block, "Date")?;
        let (time, zone) = date::of_header(&String::from_utf8_lossy(&value))?;
        date::local(time, zone)
    };
    let line = open.mbox.from_line(&open.mbox.messages()[index])?;
    let by_line = || date::of_from_line(&line);
    let found =
        if session.variables.is_set("datefield") { of_header().or_else(by_line) } else { by_line().or_else(of_header) };
    Ok(found.map(|time| format_date(session.texts, &time, format.unwrap_or("%a %b %e %H:%M"))).unwrap_or_default())
}

/// strftime in the user's language.
fn format_date(texts: Texts, time: &DateTime, format: &str) -> String {
    let mut format = format.to_owned();
    if texts.has_french_dates() {
        let day = FRENCH_DAYS[usize::try_from(time.weekday().to_monday_zero_offset()).unwrap_or(0) % 7];
        let month = FRENCH_MONTHS[usize::try_from(time.month() - 1).unwrap_or(0) % 12];
        format = format.replace("%a", day).replace("%b", month);
    }
    jiff::fmt::strtime::format(&format, *time).unwrap_or_default()
}

fn width_of(text: &str) -> usize {
    text.chars().map(|c| if c == '\t' { 1 } else { c.width().unwrap_or(0) }).sum()
}

/// At most `columns` wide, and one line.
fn cut(text: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    for character in text.chars().map(|c| if c == '\n' || c == '\r' { ' ' } else { c }) {
        let width = if character == '\t' { 1 } else { character.width().unwrap_or(0) };
        if used + width > columns {
            break;
        }
        used += width;
        out.push(character);
    }
    out
}

fn pad(text: &str, columns: usize, left: bool) -> String {
    let blanks = " ".repeat(columns.saturating_sub(width_of(text)));
    if left { format!("{text}{blanks}") } else { format!("{blanks}{text}") }
}
