//! One line of a summary, after the `headline` variable.

use super::columns::{Side, columns_of, cut, field, number, push};
use super::dates;
use super::session::{OpenBox, Session};
use super::texts::Texts;
use super::threads::Place;
use crate::mailbox::digest::Digest;
use crate::mailbox::outline::Outline;
use crate::message::{address, date, header};
use std::borrow::Cow;

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
            own: session
                .variables
                .is_set("showto")
                .then(|| [session.own_addresses(), session.alternates.clone()].concat()),
        }
    }
}

impl Style {
    /// Columns that are left. The last ones stay free: the two that a terminal wraps at.
    fn room(&self, used: usize) -> usize {
        self.columns.saturating_sub(used + 2)
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

enum Piece {
    Text {
        text: String,
        columns: usize,
    },
    Field {
        letter: char,
        width: Option<usize>,
        side: Side,
        date: Option<String>,
    },
    /// What stood between "%" and a letter that means nothing: mailutils shows it.
    Stray {
        text: String,
        width: Option<usize>,
        side: Side,
    },
}

/// What may follow "%", besides "D{...}".
const LETTERS: &str = "adflLmosS><";

/// The inside of "{...}", if that comes next.
fn braced(characters: &mut std::iter::Peekable<std::str::Chars>) -> Option<String> {
    characters.peek().filter(|next| **next == '{')?;
    let rest: String = characters.clone().skip(1).collect();
    let (inside, _) = rest.split_once('}')?;
    characters.nth(inside.chars().count() + 1);
    Some(inside.to_owned())
}

impl Piece {
    fn text(text: String) -> Piece {
        let columns = text.chars().map(columns_of).sum();
        Piece::Text { text, columns }
    }
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
            let sign = characters.next_if(|c| ['-', '+'].contains(c));
            let side = match sign {
                Some('-') => Side::Left,
                Some(_) => Side::Right,
                None => Side::Own,
            };
            let mut digits = String::new();
            while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            let stray = sign.into_iter().chain(digits.chars()).collect();
            let width = (!digits.is_empty()).then(|| digits.parse().unwrap_or(WIDEST)).filter(|width| *width > 0);
            let width = width.map(|width: usize| width.min(WIDEST));
            let letter = characters.next();
            if letter == Some('%') {
                plain.push('%');
                continue;
            }
            if !plain.is_empty() {
                pieces.push(Piece::text(std::mem::take(&mut plain)));
            }
            let date = if letter == Some('D') { braced(&mut characters) } else { None };
            pieces.push(match letter {
                Some(letter) if LETTERS.contains(letter) || date.is_some() => {
                    Piece::Field { letter, width, side, date }
                }
                letter => {
                    unknown.push(letter);
                    Piece::Stray { text: stray, width, side }
                }
            });
        }
        if !plain.is_empty() {
            pieces.push(Piece::text(plain));
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
        let digest = about.digest();
        let mut used = 0;
        for piece in &self.pieces {
            let (letter, width, side, date) = match piece {
                Piece::Text { text, columns } => {
                    out.push_str(text);
                    used += columns;
                    continue;
                }
                Piece::Stray { text, width, side } => {
                    used += field(out, text, width.map(|width| width.min(style.room(used))), *side);
                    continue;
                }
                Piece::Field { letter, width, side, date } => (*letter, *width, *side, date.as_deref()),
            };
            let room = style.room(used);
            let width = width.map(|width| width.min(room));
            used += match letter {
                'a' => field(out, state_letter(open, place.index).encode_utf8(&mut [0; 4]), width, side),
                '>' => field(out, if place.index == style.current { ">" } else { " " }, width, side),
                '<' => field(out, if place.index == style.current { "<" } else { " " }, width, side),
                // A message's number is shown even when it is longer than its column.
                'm' => number(out, place.index as u64 + 1, width, side, usize::MAX),
                'l' | 'L' => number(out, message.lines.into(), width, side, width.unwrap_or(usize::MAX)),
                'o' => number(out, message.written_size(), width, side, width.unwrap_or(usize::MAX)),
                'f' => field(out, &plain(style.texts, sender(style, about, &digest)), width, side),
                's' => {
                    let mut text = subject(style, &digest);
                    if place.depth > 0 {
                        text = Cow::Owned("  ".repeat(place.depth.min(10)) + &text);
                    }
                    match width {
                        None => push(out, &text, room),
                        width => field(out, &text, width, side),
                    }
                }
                'S' if digest.subject.is_none() => field(out, "", width, side),
                'S' => {
                    let text = subject(style, &digest);
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
                    let text = when(style, about, &digest, date);
                    // The width that an English date has is too narrow for a French one.
                    let french = width == Some(16) && date.is_none() && style.texts.has_french_dates();
                    field(out, &text, if french { Some(FRENCH_DATE) } else { width }, side)
                }
            };
        }
        let columns = style.columns.saturating_sub(2);
        if used > columns {
            cut(out, columns);
        }
    }
}

/// In one line; in a locale of ASCII alone other characters are shown as the octal numbers of their bytes.
pub fn plain(texts: Texts, text: Cow<str>) -> Cow<str> {
    let in_one_line = memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_none();
    let text = if in_one_line { text } else { Cow::Owned(text.replace(['\n', '\r'], " ")) };
    if !texts.ascii || text.is_ascii() {
        return text;
    }
    let mut shown = String::with_capacity(4 * text.len());
    for byte in text.bytes() {
        if byte.is_ascii() {
            shown.push(char::from(byte));
        } else {
            // A long list has many of them: not by way of a formatter.
            let digit = |shift: u8| char::from(b'0' + (byte >> shift & 7));
            shown.extend(['\\', digit(6), digit(3), digit(0)]);
        }
    }
    Cow::Owned(shown)
}

/// The status letter.
fn state_letter(open: &OpenBox, index: usize) -> char {
    let state = open.states[index];
    if state.mboxed {
        'M'
    } else if state.preserved {
        'P'
    } else if state.saved {
        '*'
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
fn sender<'d>(style: &Style, about: &Outline, digest: &'d Digest) -> Cow<'d, str> {
    if !style.by_header {
        return Cow::Owned(date::from_line_sender(about.from_line));
    }
    if let Some(own) = &style.own
        && let Some(from) = header::find(about.block, "From")
        && let Ok(all) = address::parse(&String::from_utf8_lossy(&from))
        && all.iter().any(|one| own.iter().any(|other| one.mailbox.eq_ignore_ascii_case(other)))
        && let Some(to) = header::find(about.block, "To")
    {
        return Cow::Owned(address::short_name(&to).into_owned());
    }
    if digest.bare { Cow::Owned(format!("{}@{}", digest.sender, style.host)) } else { Cow::Borrowed(&*digest.sender) }
}

fn subject<'d>(style: &Style, digest: &'d Digest) -> Cow<'d, str> {
    plain(style.texts, Cow::Borrowed(digest.subject.as_deref().unwrap_or_default()))
}

fn when(style: &Style, about: &Outline, digest: &Digest, format: Option<&str>) -> String {
    let of_header = || {
        let value = header::find(about.block, "Date")?;
        let (time, zone) = date::of_header(&String::from_utf8_lossy(&value))?;
        date::local(time, zone)
    };
    let by_header = (style.by_date || digest.time.is_none()).then(of_header).flatten();
    let zoned = by_header.filter(|_| style.by_date).and_then(|time| time.to_zoned(jiff::tz::TimeZone::system()).ok());
    let found = if style.by_date { by_header.or(digest.time) } else { digest.time.or(by_header) };
    found.map(|time| dates::format(style.texts, &time, zoned.as_ref(), format)).unwrap_or_default()
}
