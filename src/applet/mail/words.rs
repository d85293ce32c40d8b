//! A command line's words: blanks separate, quotes and backslashes join, `$NAME` is a mail variable or one of the
//! environment.

/// The words of a line. `expand` gives a variable's value.
pub fn split(line: &str, expand: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars().peekable();
    let mut quote: Option<char> = None;
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => match (quote, characters.next()) {
                (None, Some(next)) => word.get_or_insert_default().push(next),
                (Some(_), Some('n')) => word.get_or_insert_default().push('\n'),
                (Some(_), Some('t')) => word.get_or_insert_default().push('\t'),
                (Some(_), Some(next @ ('"' | '\\' | '$'))) => word.get_or_insert_default().push(next),
                (Some(_), Some(next)) => word.get_or_insert_default().extend(['\\', next]),
                (_, None) => word.get_or_insert_default().push('\\'),
            },
            (_, '$') => {
                let braced = characters.peek() == Some(&'{');
                if braced {
                    characters.next();
                }
                let mut name = String::new();
                while let Some(&next) = characters.peek() {
                    if !(next.is_alphanumeric() || next == '_' || (braced && next != '}')) {
                        break;
                    }
                    name.push(next);
                    characters.next();
                }
                if braced {
                    characters.next();
                }
                let word = word.get_or_insert_default();
                if name.is_empty() {
                    word.push('$');
                } else {
                    word.push_str(&expand(&name).unwrap_or_default());
                }
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    #[test]
    fn quotes_join_and_variables_expand() {
        let words = |line: &str| super::split(line, &|name| (name == "HOME").then(|| "/h".to_owned()));
        assert_eq!(
            words("a  b \"c d\" 'e $HOME' $HOME/x f\\ g \"\" ${HOME}y $"),
            ["a", "b", "c d", "e $HOME", "/h/x", "f g", "", "/hy", "$"]
        );
        assert_eq!(words("set headline=\"%>%a\" x=\"a\\tb\""), ["set", "headline=%>%a", "x=a\tb"]);
    }
}
