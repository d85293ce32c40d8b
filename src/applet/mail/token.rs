//! The signs of a message list. Each word of the command line is read by itself, so that a blank that was quoted is a
//! sign of its own and a pattern ends with its word.

/// One sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    End,
    Number(u64),
    /// A sender.
    Word(String),
    /// `name:`, before a pattern.
    Header(String),
    /// `/text/`, the slashes taken off.
    Pattern(String),
    /// `:/text/`.
    Body(String),
    /// `:n` and its kind.
    Kind(char),
    Sign(char),
}

/// Reads signs, and knows what comes after the last one.
pub struct Tokens<'w> {
    words: &'w [String],
    word: usize,
    at: usize,
    pub current: Token,
}

impl<'w> Tokens<'w> {
    /// The first sign is read at once.
    pub fn new(words: &'w [String]) -> Tokens<'w> {
        let mut tokens = Tokens { words, word: 0, at: 0, current: Token::End };
        tokens.advance();
        tokens
    }

    /// The text after the current sign, up to the end of its word.
    pub fn near(&self) -> Option<&'w str> {
        let here = self.words.get(self.word).and_then(|word| word.get(self.at..)).filter(|rest| !rest.is_empty());
        here.or_else(|| {
            let from = self.words.get(self.word + 1..).unwrap_or_default();
            from.iter().map(String::as_str).find(|word| !word.is_empty())
        })
    }

    pub fn advance(&mut self) {
        while self.words.get(self.word).is_some_and(|word| self.at >= word.len()) {
            self.word += 1;
            self.at = 0;
        }
        let Some(text) = self.words.get(self.word).and_then(|word| word.get(self.at..)) else {
            self.current = Token::End;
            return;
        };
        let (token, used) = first(text);
        self.current = token;
        self.at += used;
    }
}

/// The sign that a text begins with, and how many bytes it takes.
fn first(text: &str) -> (Token, usize) {
    let Some(character) = text.chars().next() else { return (Token::End, 0) };
    match character {
        '0'..='9' => {
            let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            (Token::Number(text[..digits].parse().unwrap_or(u64::MAX)), digits)
        }
        '/' => {
            let (pattern, used) = pattern(text);
            (Token::Pattern(pattern), used)
        }
        ':' if text[1..].starts_with('/') => {
            let (pattern, used) = pattern(&text[1..]);
            (Token::Body(pattern), used + 1)
        }
        // A colon at the end of a word ends the list.
        ':' => match text[1..].chars().next() {
            Some(kind) => (Token::Kind(kind), 1 + kind.len_utf8()),
            None => (Token::End, 1),
        },
        c if c.is_alphabetic() => {
            let end = text.find([',', ':']).unwrap_or(text.len());
            let word = text[..end].to_owned();
            if text[end..].starts_with(':') { (Token::Header(word), end + 1) } else { (Token::Word(word), end) }
        }
        other => (Token::Sign(other), other.len_utf8()),
    }
}

/// The text between a slash and the next one, or the end.
fn pattern(text: &str) -> (String, usize) {
    let inside = &text[1..];
    match inside.find('/') {
        Some(end) => (inside[..end].to_owned(), end + 2),
        None => (inside.to_owned(), text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(words: &[&str]) -> Vec<Token> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut tokens = Tokens::new(&words);
        let mut found = Vec::new();
        while tokens.current != Token::End {
            found.push(tokens.current.clone());
            tokens.advance();
        }
        found
    }

    #[test]
    fn words_are_read_one_by_one() {
        assert_eq!(all(&["/a", "b/"]), [Token::Pattern("a".into()), Token::Word("b/".into())]);
        assert_eq!(all(&["from:/x/2"]), [Token::Header("from".into()), Token::Pattern("x".into()), Token::Number(2)]);
        assert_eq!(
            all(&["1-*,:n"]),
            [Token::Number(1), Token::Sign('-'), Token::Sign('*'), Token::Sign(','), Token::Kind('n')]
        );
        assert_eq!(all(&[":/a b"]), [Token::Body("a b".into())]);
    }
}
