//! Statements: `keyword value …;` and `keyword tag … { statements }`.

use super::Mistake;
use super::lexer::{Lexer, Place, Token};

/// Braces and parentheses stand in each other no deeper.
const DEEPEST: usize = 64;

/// A word, a string or a here-document, or a list of such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    List(Vec<Value>),
}

impl Value {
    /// Its texts in their order.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Value::Text(text) => vec![text],
            Value::List(values) => values.iter().flat_map(Value::texts).collect(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub place: Place,
    pub keyword: String,
    /// Before a block: its tag.
    pub values: Vec<Value>,
    pub block: Option<Vec<Statement>>,
}

/// A text that was read.
#[derive(Debug, Default)]
pub struct Parsed {
    /// None where the syntax is wrong.
    pub statements: Option<Vec<Statement>>,
    pub mistakes: Vec<Mistake>,
}

/// Reads a text, which holds a statement at least; the name is that of complaints.
pub fn parse(name: &str, text: &[u8]) -> Parsed {
    let mut reader = Reader { lexer: Lexer::new(name, text), token: None };
    reader.advance();
    let statements = reader.statements(0).filter(|_| reader.token.is_none());
    let mut mistakes = std::mem::take(&mut reader.lexer.strays);
    if statements.is_none() {
        mistakes.push(Mistake { place: reader.lexer.last, english: "syntax error", argument: String::new() });
    }
    Parsed { statements, mistakes }
}

/// A reader that stops for good where the syntax is wrong: its place is then the lexer's last.
struct Reader<'t> {
    lexer: Lexer<'t>,
    token: Option<Token>,
}

impl Reader<'_> {
    fn advance(&mut self) {
        self.token = self.lexer.next();
    }

    /// One statement or more, up to a closing brace or the end.
    fn statements(&mut self, depth: usize) -> Option<Vec<Statement>> {
        let mut all = vec![self.statement(depth)?];
        while self.token.is_some() && self.token != Some(Token::Sign(b'}')) {
            all.push(self.statement(depth)?);
        }
        Some(all)
    }

    fn statement(&mut self, depth: usize) -> Option<Statement> {
        let Some(Token::Name(keyword)) = self.token.clone() else { return None };
        let begin = self.lexer.last.clone()?;
        self.advance();
        let mut values = Vec::new();
        loop {
            match self.token {
                Some(Token::Sign(b'{')) if depth < DEEPEST => break,
                Some(Token::Sign(b';')) if !values.is_empty() => {
                    let place = begin.through(self.lexer.last.as_ref()?);
                    self.advance();
                    return Some(Statement { place, keyword, values, block: None });
                }
                _ => values.push(self.value(depth)?),
            }
        }
        self.advance();
        let empty = self.token == Some(Token::Sign(b'}'));
        let inner = if empty { Vec::new() } else { self.statements(depth + 1)? };
        if self.token != Some(Token::Sign(b'}')) {
            return None;
        }
        let mut place = begin.through(self.lexer.last.as_ref()?);
        self.advance();
        if self.token == Some(Token::Sign(b';')) {
            place = begin.through(self.lexer.last.as_ref()?);
            self.advance();
        }
        Some(Statement { place, keyword, values, block: Some(inner) })
    }

    /// Strings that follow each other are one.
    fn value(&mut self, depth: usize) -> Option<Value> {
        match self.token.take()? {
            Token::Name(text) | Token::Word(text) | Token::Document(text) => {
                self.advance();
                Some(Value::Text(text))
            }
            Token::Quoted(mut text) => {
                self.advance();
                while let Some(Token::Quoted(more)) = &self.token {
                    text.push_str(more);
                    self.advance();
                }
                Some(Value::Text(text))
            }
            Token::Sign(b'(') if depth < DEEPEST => {
                self.advance();
                let mut values = vec![self.value(depth + 1)?];
                while self.token == Some(Token::Sign(b',')) {
                    self.advance();
                    if self.token != Some(Token::Sign(b')')) {
                        values.push(self.value(depth + 1)?);
                    }
                }
                (self.token == Some(Token::Sign(b')'))).then(|| self.advance())?;
                Some(Value::List(values))
            }
            Token::Sign(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> String {
        let shown = |mistake: Mistake| {
            let place = mistake.place.map_or(String::new(), |place| format!("{place} "));
            format!("{place}{}", mistake.english.replace("{}", &mistake.argument))
        };
        parse("x", text.as_bytes()).mistakes.into_iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn statements_blocks_lists_and_documents() {
        let text =
            "one a \"b\\\"\" \"c\"; // x\ntwo tag { three (a, (b, c),); /* y */ four <<-EOT\n\td\\te\n\tEOT\n; };";
        let all = parse("x", text.as_bytes()).statements.unwrap();
        let texts = |statement: &Statement| {
            statement.values.iter().flat_map(Value::texts).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(texts(&all[0]), ["a", "b\"c"]);
        assert_eq!(all[0].place.to_string(), "x:1.1-16");
        let inner = all[1].block.as_ref().unwrap();
        assert_eq!(
            (texts(&inner[0]), texts(&inner[1])),
            (vec!["a".into(), "b".into(), "c".into()], vec!["d\te\n".into()])
        );
        assert_eq!(all[1].place.to_string(), "x:2.1-5.4");
    }

    #[test]
    fn mistakes_have_their_place() {
        for (text, expected) in [
            ("", "syntax error"),
            ("\n", "x:1 syntax error"),
            ("/* c */", "x:1.6-7 syntax error"),
            ("nonsense 1\n\n\n", "x:3 syntax error"),
            ("nonsense { x 1; }", "x:1.12 syntax error"),
            (
                "aa { bb $\u{e9}; }",
                "x:1.9 stray character $, x:1.10 stray character \\303, x:1.11 stray character \\251, x:1.12 syntax error",
            ),
            ("aa \"b", "x:1.4 stray character \", x:1.5 syntax error"),
            ("aa (b", "x:1.5 syntax error"),
            ("aa b;; cc d;", "x:1.6 syntax error"),
            ("aa b; } ", "x:1.7 syntax error"),
        ] {
            assert_eq!(mistakes(text), expected, "{text:?}");
        }
        assert!(parse("x", "aa { ".repeat(100_000).as_bytes()).statements.is_none());
        assert!(parse("x", format!("aa {};", "(".repeat(100_000)).as_bytes()).statements.is_none());
    }
}
