//! Texts and numbers in columns of a screen. A character takes no column, one, or two (Unicode TR 11).

use unicode_width::UnicodeWidthChar;

/// Where a text stands in its column: `%-` left, `%+` right, else numbers right and words left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Own,
    Left,
    Right,
}

/// Puts as much of a text as fits into `columns` columns: how many it took.
pub fn push(out: &mut String, text: &str, columns: usize) -> usize {
    let (mut used, mut rest) = (0, text);
    loop {
        let room = rest.len().min(columns - used);
        let run = ascii_run(&rest.as_bytes()[..room]);
        let (plain, after) = rest.split_at(run);
        out.push_str(plain);
        used += run;
        let Some(character) = after.chars().next() else { return used };
        let width = columns_of(character);
        if used + width > columns {
            return used;
        }
        used += width;
        let (character, after) = after.split_at(character.len_utf8());
        out.push_str(character);
        rest = after;
    }
}

/// How many bytes at the start are ASCII that shows, a column each, as most of what is shown is.
fn ascii_run(bytes: &[u8]) -> usize {
    let shows = |byte: u8| (b' '..=b'~').contains(&byte);
    // Eight at a time: a loop that may end at each byte cannot become one of vectors.
    let all_show = |word: &&[u8; 8]| word.iter().fold(true, |all, &byte| all & shows(byte));
    let whole = bytes.as_chunks().0.iter().take_while(all_show).count() * 8;
    whole + bytes[whole..].iter().take_while(|byte| shows(**byte)).count()
}

/// As [`push`], with blanks up to the width.
pub fn field(out: &mut String, text: &str, width: Option<usize>, side: Side) -> usize {
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
pub fn number(out: &mut String, number: u64, width: Option<usize>, side: Side, digits: usize) -> usize {
    // Blanks before it, for most columns enough of them.
    let mut text = [b' '; 32];
    let (mut start, mut rest) = (text.len(), number);
    loop {
        start -= 1;
        text[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let shown = digits.min(text.len() - start);
    let left = width.unwrap_or(0).saturating_sub(shown);
    let before = if side == Side::Left { 0 } else { left };
    blanks(out, before.saturating_sub(start));
    let text = &text[start - before.min(start)..start + shown];
    out.push_str(std::str::from_utf8(text).unwrap_or_default());
    blanks(out, left - before);
    left + shown
}

/// Shortens a line that is too wide.
pub fn cut(line: &mut String, columns: usize) {
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

/// Columns that a character takes.
pub fn columns_of(character: char) -> usize {
    match character {
        '\t' | ' '..='~' => 1,
        // The letters of Latin alphabets need no look into the table.
        'À'..='ɏ' => 1,
        other => other.width().unwrap_or(0),
    }
}

fn blanks(out: &mut String, count: usize) {
    const BLANKS: &str = "                                ";
    let mut left = count;
    while left > 0 {
        let some = left.min(BLANKS.len());
        out.push_str(&BLANKS[..some]);
        left -= some;
    }
}
