//! What the text of others may do to whoever looks at it: some characters steer a terminal, hide themselves, or turn the
//! reading direction around (Unicode TR 36).

/// Whether a character does something of this kind. Line feeds and tabs do: who lets them through says so.
pub fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// With U+FFFD for each of them.
pub fn harmless(text: &str) -> String {
    text.chars().map(|character| if is_hostile(character) { char::REPLACEMENT_CHARACTER } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_taken_out_and_what_reads_stays() {
        assert_eq!(harmless("é 日\x1b]0;x\x07\u{202e}gpj\u{200b}"), "é 日\u{fffd}]0;x\u{fffd}\u{fffd}gpj\u{fffd}");
    }
}
