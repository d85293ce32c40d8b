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
    // Most of what is shown is ASCII, a column each.
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte);
    let mut used = text.bytes().take(columns).take_while(is_plain).count();
    let (plain, rest) = text.split_at_checked(used).unwrap_or((text, ""));
    out.push_str(plain);
    if rest.bytes().next().is_none_or(|next| used == columns && is_plain(&next)) {
        return used;
    }
    for character in rest.chars() {
        let width = columns_of(character);
        if used + width > columns {
            break;
        }
        used += width;
        out.push(character);
    }
    used
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
        '\t' => 1,
        ' '..='~' => 1,
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
