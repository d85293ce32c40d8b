//! [`Command`]: what a client asks for after the login.

use super::lines::split_command;

/// A message number as it was given; whether there is such a message is the maildrop's to say.
pub type Number = u32;

/// A command after the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Capa,
    Stat,
    List(Option<Number>),
    Uidl(Option<Number>),
    Retr(Number),
    Top(Number, u64),
    Dele(Number),
    Rset,
    Noop,
    Quit,
    /// Not understood: the reply, and whether it counts as an unknown command.
    Wrong(String, bool),
}

impl Command {
    /// Reads a line. Arguments that a command does not take are passed over, as the reference does.
    pub fn parse(line: &[u8]) -> Command {
        let (name, argument) = split_command(line);
        let optional = |make: fn(Option<Number>) -> Command| match argument {
            b"" => make(None),
            _ => alone(argument).map_or_else(|wrong| wrong, |number| make(Some(number))),
        };
        let needed = |make: fn(Number) -> Command| alone(argument).map_or_else(|wrong| wrong, make);
        match name.as_slice() {
            b"CAPA" => Command::Capa,
            b"STAT" => Command::Stat,
            b"LIST" => optional(Command::List),
            b"UIDL" => optional(Command::Uidl),
            b"RETR" => needed(Command::Retr),
            b"DELE" => needed(Command::Dele),
            b"TOP" => top(argument).unwrap_or_else(|wrong| wrong),
            b"RSET" => Command::Rset,
            b"NOOP" => Command::Noop,
            b"QUIT" => Command::Quit,
            b"" => Command::Wrong("-ERR Unknown command.".into(), true),
            _ => Command::Wrong(format!("-ERR Unknown command: {}", shown(&name)), true),
        }
    }
}

fn wrong(what: &str, text: &[u8]) -> Command {
    Command::Wrong(format!("-ERR {what}: {}", shown(text)), false)
}

/// The message number that an argument begins with, and what follows it.
fn number(argument: &[u8]) -> Result<(Number, &[u8]), Command> {
    let digits = argument.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err(wrong("Invalid message number", argument));
    }
    let (text, rest) = argument.split_at(digits);
    match std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok()) {
        Some(number) => {
            Number::try_from(number).map(|number| (number, rest)).map_err(|_| wrong("Message number too large", rest))
        }
        None => Err(wrong("Message number too large", argument)),
    }
}

/// A message number and nothing else.
fn alone(argument: &[u8]) -> Result<Number, Command> {
    let (number, rest) = number(argument)?;
    if rest.is_empty() { Ok(number) } else { Err(wrong("Noise after message number", rest)) }
}

/// "NUMBER LINES"
fn top(argument: &[u8]) -> Result<Command, Command> {
    let (number, rest) = number(argument)?;
    let lines = rest.strip_prefix(b" ").ok_or_else(|| wrong("Noise after message number", rest))?.trim_ascii_start();
    let digits = lines.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err(wrong("Invalid size", lines));
    }
    let (text, noise) = lines.split_at(digits);
    if !noise.is_empty() {
        return Err(wrong("Noise after size", noise));
    }
    let size = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    size.map(|size| Command::Top(number, size)).ok_or_else(|| wrong("Size too large", lines))
}

/// What a client sent, fit for a reply: one line of text.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_their_mistakes() {
        for (line, want) in [
            ("RETR 0", Command::Retr(0)),
            ("list", Command::List(None)),
            ("LIST 1 x", Command::Wrong("-ERR Noise after message number:  x".into(), false)),
            ("RETR 1x", Command::Wrong("-ERR Noise after message number: x".into(), false)),
            ("TOP 1 1x", Command::Wrong("-ERR Noise after size: x".into(), false)),
            ("TOP 1 1 1", Command::Wrong("-ERR Noise after size:  1".into(), false)),
            ("", Command::Wrong("-ERR Unknown command.".into(), true)),
            ("TOP 1 0", Command::Top(1, 0)),
            ("STAT x", Command::Stat),
            ("LIST x", Command::Wrong("-ERR Invalid message number: x".into(), false)),
            ("RETR", Command::Wrong("-ERR Invalid message number: ".into(), false)),
            ("RETR 4294967297", Command::Wrong("-ERR Message number too large: ".into(), false)),
            (
                "RETR 99999999999999999999",
                Command::Wrong("-ERR Message number too large: 99999999999999999999".into(), false),
            ),
            ("TOP 1", Command::Wrong("-ERR Noise after message number: ".into(), false)),
            ("TOP 1 -1", Command::Wrong("-ERR Invalid size: -1".into(), false)),
            ("xyz", Command::Wrong("-ERR Unknown command: XYZ".into(), true)),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), want, "{line}");
        }
    }
}
