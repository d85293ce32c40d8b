//! One line of a summary, after the `headline` variable.

use super::dates;
use super::session::{OpenBox, Session};
use super::texts::Texts;
use super::threads::Place;
use crate::mailbox::outline::Outline;
use crate::message::{address, charset, date, header};
use unicode_width::UnicodeWidthChar;

/// What of a session shows in its summaries.
pub struct Style {
    texts: Texts,
    columns: usize,
    /// The current message.
    current: usize,
    pub colour: bool,
    /// `fromfield`: the sender of the header, not of the From_ line.
    by_header: bool,
    /// `datefield`: the date of the header, not of the From_ line.
    by_date: bool,
    /// What stands behind the names of this machine's users.
    host: String,
    /// `showto`: the addresses of whoever reads, whose own letters show the recipient.
    own: Option<Vec<String>>,
}

impl Style {
    pub fn of(session: &Session) -> Style {
        // Without room for anything there is no limit.
        let columns = match session.variables.number("columns") {
            Some(number) if number < 2 => usize::MAX,
            number => number.map_or(80, |number| usize::try_from(number).unwrap_or(80)),
        };
        Style {
            texts: session.texts,
            columns,
            current: session.open.as_ref().map_or(0, OpenBox::current),
            colour: session.screen.colours && !session.variables.was_taken_back("color"),
            by_header: session.variables.is_set("fromfield"),
            by_date: session.variables.is_set("datefield"),
            host: session.host.clone(),
            own: session.variables.is_set("showto").then(|| session.own_addresses()),
        }
    }
}

/// Columns are no wider.
const WIDEST: usize = 10_000;
/// Columns of "mer. sept. 24 10:05", the widest date in French.
const FRENCH_DATE: usize = 19;

/// A parsed headline.
pub struct Format {
    pieces: Vec<Piece>,
}

/// Where a text stands in its column: `%-` left, `%+` right, else numbers right and words left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Own,
    Left,
    Right,
}

enum Piece {
    Text(String),
    Field { letter: char, width: Option<usize>, side: Side, date: Option<String> },
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
            let side = match characters.next_if(|c| ['-', '+'].contains(c)) {
                Some('-') => Side::Left,
                Some(_) => Side::Right,
                None => Side::Own,
            };
            let mut digits = String::new();
            while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            let width = (!digits.is_empty()).then(|| digits.parse().unwrap_or(WIDEST)).filter(|width| *width > 0);
            let width = width.map(|width: usize| width.min(WIDEST));
            let Some(letter) = characters.next() else {
                unknown.push(None);
                break;
            };
            let mut format = None;
            if letter == 'D' && characters.peek() == Some(&'{') {
                let rest: String = characters.clone().skip(1).collect();
                let Some((inside, _)) = rest.split_once('}') else {
                    unknown.push(Some('D'));
                    continue;
                };
                format = Some(inside.to_owned());
                characters.nth(inside.chars().count() + 1);
            }
            match letter {
                '%' => plain.push('%'),
                'a' | 'd' | 'D' | 'f' | 'l' | 'L' | 'm' | 'o' | 's' | 'S' | '>' | '<' => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Field { letter, width, side, date: format });
                }
                other => unknown.push(Some(other)),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        (Format { pieces }, unknown)
    }

    /// Whether header fields are wanted that are not in a brief.
    pub fn wants_more(&self, style: &Style) -> bool {
        let dates = |piece: &Piece| matches!(piece, Piece::Field { letter: 'd' | 'D', .. });
        style.own.is_some() || style.by_date && self.pieces.iter().any(dates)
    }

    /// A message's line without its newline, into `out`, which is empty.
    pub fn line(&self, style: &Style, open: &OpenBox, place: &Place, about: &Outline, out: &mut String) {
        let Some(message) = open.mbox.messages().get(place.index) else { return };
        let fields = Fields::of(about.block);
        let mut used = 0;
        for piece in &self.pieces {
            let (letter, width, side, date) = match piece {
                Piece::Text(text) => {
                    used += push(out, text, usize::MAX);
                    continue;
                }
                Piece::Field { letter, width, side, date } => (*letter, *width, *side, date.as_deref()),
            };
            // The last screen columns stay free: the two that a terminal wraps at.
            let room = style.columns.saturating_sub(used + 2);
            let width = width.map(|width| width.min(room));
            used += match letter {
                'a' => field(out, state_letter(open, place.index).encode_utf8(&mut [0; 4]), width, side),
                '>' => field(out, if place.index == style.current { ">" } else { " " }, width, side),
                '<' => field(out, if place.index == style.current { "<" } else { " " }, width, side),
                // A message's number is shown even when it is longer than its column.
                'm' => number(out, place.index as u64 + 1, width, side, usize::MAX),
                'l' | 'L' => number(out, message.lines.into(), width, side, width.unwrap_or(usize::MAX)),
                'o' => number(out, message.written_size(), width, side, width.unwrap_or(usize::MAX)),
                'f' => field(out, &plain(style.texts, sender(style, about, &fields)), width, side),
                's' => {
                    let text = plain(style.texts, subject(&fields));
                    let text = if place.depth > 0 { "  ".repeat(place.depth.min(10)) + &text } else { text };
                    match width {
                        None => push(out, &text, room),
                        width => field(out, &text, width, side),
                    }
                }
                'S' if fields.subject.is_none() => field(out, "", width, side),
                'S' => {
                    let text = plain(style.texts, subject(&fields));
                    let fits = if width.is_none() { room.saturating_sub(2) } else { usize::MAX };
                    let mut quoted = String::from('"');
                    push(&mut quoted, &text, fits);
                    quoted.push('"');
                    match width {
                        None => push(out, &quoted, room),
                        width => field(out, &quoted, width, side),
                    }
                }
                _ => {
                    let text = when(style, about, date);
                    // The width that an English date has is too narrow for a French one.
                    let french = width == Some(16) && date.is_none() && style.texts.has_french_dates();
                    field(out, &text, if french { Some(FRENCH_DATE) } else { width }, side)
                }
            };
        }
        cut(out, style.columns.saturating_sub(2));
    }
}

/// In one line; in a locale of ASCII alone other characters are shown as the octal numbers of their bytes.
pub fn plain(texts: Texts, text: String) -> String {
    let in_one_line = memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_none();
    let text = if in_one_line { text } else { text.replace(['\n', '\r'], " ") };
    if text.is_ascii() || !texts.ascii {
        return text;
    }
    text.bytes()
        .map(|byte| if byte.is_ascii() { char::from(byte).to_string() } else { format!("\\{byte:03o}") })
        .collect()
}

/// The fields of a brief, found in one pass.
#[derive(Default)]
struct Fields<'b> {
    from: Option<&'b [u8]>,
    subject: Option<&'b [u8]>,
}

impl<'b> Fields<'b> {
    fn of(block: &'b [u8]) -> Fields<'b> {
        let mut found = Fields::default();
        for field in header::fields(block) {
            if found.from.is_none() && field.is("From") {
                found.from = Some(field.value);
            } else if found.subject.is_none() && field.is("Subject") {
                found.subject = Some(field.value);
            }
            if found.from.is_some() && found.subject.is_some() {
                break;
            }
        }
        found
    }
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
fn sender(style: &Style, about: &Outline, fields: &Fields) -> String {
    if !style.by_header {
        return date::from_line_sender(about.from_line);
    }
    let from = header::in_one_line(fields.from.unwrap_or_default());
    if let Some(own) = &style.own
        && let Ok(all) = address::parse(&String::from_utf8_lossy(&from))
        && all.iter().any(|one| own.iter().any(|other| one.mailbox.eq_ignore_ascii_case(other)))
        && let Some(to) = header::find(about.block, "To")
    {
        return short_name(&to);
    }
    let name = short_name(&from);
    let alone = !name.is_empty() && name.as_bytes() == from.trim_ascii() && !name.contains(['@', ' ']);
    if alone { format!("{name}@{}", style.host) } else { name }
}

/// "Jean Dupont <j@x>" is Jean Dupont, "j@x" is j@x.
pub fn short_name(value: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(value)
        && let Some((name, mailbox)) = address::plain(text)
    {
        return if name.is_empty() { mailbox.to_owned() } else { charset::decode_words(name.as_bytes()) };
    }
    match address::parse(&String::from_utf8_lossy(value)).ok().and_then(|all| all.into_iter().next()) {
        Some(one) => one.name.map_or(one.mailbox, |name| charset::decode_words(name.as_bytes())),
        None => charset::decode_words(value),
    }
}

fn subject(fields: &Fields) -> String {
    charset::decode_words(&header::in_one_line(fields.subject.unwrap_or_default()))
}

fn when(style: &Style, about: &Outline, format: Option<&str>) -> String {
    let of_header = || {
        let value = header::find(about.block, "Date")?;
        let (time, zone) = date::of_header(&String::from_utf8_lossy(&value))?;
        date::local(time, zone)
    };
    let by_line = || date::of_from_line(about.from_line);
    let found = if style.by_date { of_header().or_else(by_line) } else { by_line().or_else(of_header) };
    found.map(|time| dates::format(style.texts, &time, format)).unwrap_or_default()
}

fn columns_of(character: char) -> usize {
    match character {
        '\t' => 1,
        ' '..='~' => 1,
        other => other.width().unwrap_or(0),
    }
}

/// Puts as much of a text as fits into `columns` columns: how many it took.
fn push(out: &mut String, text: &str, columns: usize) -> usize {
    // Most of what is shown is ASCII.
    if text.len() <= columns && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        out.push_str(text);
        return text.len();
    }
    let mut used = 0;
    for character in text.chars() {
        let width = columns_of(character);
        if used + width > columns {
            break;
        }
        used += width;
        out.push(character);
    }
    used
}

const BLANKS: &str = "                                                                ";

fn blanks(out: &mut String, count: usize) {
    let mut left = count;
    while left > 0 {
        let some = left.min(BLANKS.len());
        out.push_str(&BLANKS[..some]);
        left -= some;
    }
}

/// As [`push`], with blanks up to the width.
fn field(out: &mut String, text: &str, width: Option<usize>, side: Side) -> usize {
    let start = out.len();
    let used = push(out, text, width.unwrap_or(usize::MAX));
    let left = width.unwrap_or(0).saturating_sub(used);
    if side == Side::Right {
        out.insert_str(start, &" ".repeat(left));
    } else {
        blanks(out, left);
    }
    used + left
}

/// A number, its first `digits` digits, on the left or the right side of its column.
fn number(out: &mut String, number: u64, width: Option<usize>, side: Side, digits: usize) -> usize {
    let mut text = [0; 20];
    let (mut start, mut rest) = (text.len(), number);
    loop {
        start -= 1;
        text[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let text = &text[start..][..digits.min(text.len() - start)];
    let left = width.unwrap_or(0).saturating_sub(text.len());
    if side != Side::Left {
        blanks(out, left);
    }
    out.push_str(std::str::from_utf8(text).unwrap_or_default());
    if side == Side::Left {
        blanks(out, left);
    }
    left + text.len()
}

/// Shortens a line that is too wide.
fn cut(line: &mut String, columns: usize) {
    if line.len() <= columns {
        return;
    }
    let mut used = 0;
    let end = line.char_indices().find(|&(_, character)| {
        used += columns_of(character);
        used > columns
    });
    if let Some((end, _)) = end {
        line.truncate(end);
    }
}
