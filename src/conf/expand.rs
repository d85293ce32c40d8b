//! The macro language of main.cf (postconf(5), top): $name ${name} $(name) $$, ${name?text} ${name:text}
//! ${name?{text}:{text}}, ${{left} op {right} ? {text} : {text}}, and the same with blanks around the operators.
//! Pure: the caller says what a name means.

use thiserror::Error;

/// Nesting beyond this is a loop; the reference draws the same line.
const MAX_NESTING: u32 = 100;

#[derive(Debug, Error, PartialEq, Eq)]
pub enum ExpandError {
    #[error("unreasonable macro call nesting: \"{0}\"")]
    Nesting(String),
    #[error("truncated macro reference: \"{0}\"")]
    Truncated(String),
    #[error("empty macro name: \"{0}\"")]
    EmptyName(String),
    #[error("bad operator in macro expression: \"{0}\"")]
    Operator(String),
    #[error("bad macro syntax: \"{0}\"")]
    Syntax(String),
}

/// Expands `text`; `lookup` gives the raw text of a name, None for an undefined one (which expands to nothing).
pub fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
    expand_at(text, lookup, 0)
}

fn expand_at(text: &str, lookup: &dyn Fn(&str) -> Option<String>, depth: u32) -> Result<String, ExpandError> {
    if depth > MAX_NESTING {
        return Err(ExpandError::Nesting(text.to_owned()));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.chars().next() {
            Some('$') => {
                out.push('$');
                rest = &rest[1..];
            }
            Some(open @ ('{' | '(')) => {
                let (inner, after) = balanced(rest, open).ok_or_else(|| ExpandError::Truncated(text.to_owned()))?;
                out.push_str(&reference(inner, text, lookup, depth)?);
                rest = after;
            }
            _ => {
                let end = rest.find(|c: char| !is_name_char(c)).unwrap_or(rest.len());
                if end == 0 {
                    return Err(ExpandError::EmptyName(text.to_owned()));
                }
                out.push_str(&value_of(&rest[..end], lookup, depth)?);
                rest = &rest[end..];
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn value_of(name: &str, lookup: &dyn Fn(&str) -> Option<String>, depth: u32) -> Result<String, ExpandError> {
    match lookup(name) {
        Some(raw) => expand_at(&raw, lookup, depth + 1),
        None => Ok(String::new()),
    }
}

/// The text between `open` (the first character of `text`) and its partner, and what follows.
fn balanced(text: &str, open: char) -> Option<(&str, &str)> {
    let close = if open == '{' { '}' } else { ')' };
    let mut level = 0u32;
    for (at, c) in text.char_indices() {
        if c == open {
            level += 1;
        } else if c == close {
            level -= 1;
            if level == 0 {
                return Some((&text[1..at], &text[at + 1..]));
            }
        }
    }
    None
}

/// The inside of ${...}.
fn reference(
    inner: &str,
    whole: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    depth: u32,
) -> Result<String, ExpandError> {
    let syntax = || ExpandError::Syntax(whole.to_owned());
    let inner_trimmed = inner.trim_start();
    let (holds, value, rest) = if inner_trimmed.starts_with('{') {
        let (left, after) = balanced(inner_trimmed, '{').ok_or_else(|| ExpandError::Truncated(whole.to_owned()))?;
        let after = after.trim_start();
        let end = after.find(|c: char| c == '{' || c.is_whitespace()).ok_or_else(syntax)?;
        let operator = &after[..end];
        let after = after[end..].trim_start();
        let (right, after) = balanced(after, '{').filter(|_| after.starts_with('{')).ok_or_else(syntax)?;
        let left = expand_at(left.trim(), lookup, depth + 1)?;
        let right = expand_at(right.trim(), lookup, depth + 1)?;
        let holds = compare(&left, operator, &right).ok_or_else(|| ExpandError::Operator(whole.to_owned()))?;
        let rest = after.trim_start();
        if !rest.starts_with(['?', ':']) {
            return if rest.is_empty() {
                Ok(if holds { "bool:true".to_owned() } else { String::new() })
            } else {
                Err(syntax())
            };
        }
        (holds, None, rest)
    } else {
        let end = inner_trimmed.find(|c: char| !is_name_char(c) && c != '-').unwrap_or(inner_trimmed.len());
        let name = &inner_trimmed[..end];
        if name.is_empty() {
            return Err(ExpandError::EmptyName(whole.to_owned()));
        }
        let value = value_of(name, lookup, depth)?;
        let rest = &inner_trimmed[end..];
        let rest = if rest.trim_start().starts_with(['?', ':']) { rest.trim_start() } else { rest.trim() };
        if rest.is_empty() {
            return Ok(value);
        }
        (!value.is_empty(), Some(value), rest)
    };
    let (when_true, when_false) = branches(rest, whole)?;
    let chosen = if holds { when_true } else { when_false };
    match chosen {
        Some(text) => expand_at(text, lookup, depth + 1),
        // ${name:text} is the value itself when there is one; ${name?text} is nothing when there is none.
        None => Ok(if holds { value.unwrap_or_default() } else { String::new() }),
    }
}

/// What stands after the name or the comparison: `?text`, `:text`, `?{text}`, `:{text}`, `?{text}:{text}`.
fn branches<'a>(rest: &'a str, whole: &str) -> Result<(Option<&'a str>, Option<&'a str>), ExpandError> {
    let syntax = || ExpandError::Syntax(whole.to_owned());
    let after = &rest[1..];
    let braced = after.trim_start();
    if rest.starts_with(':') {
        let text = match balanced(braced, '{') {
            Some((inner, tail)) if braced.starts_with('{') && tail.trim().is_empty() => inner,
            _ => after,
        };
        return Ok((None, Some(text)));
    }
    if !rest.starts_with('?') {
        return Err(syntax());
    }
    if braced.starts_with('{') {
        let (inner, tail) = balanced(braced, '{').ok_or_else(|| ExpandError::Truncated(whole.to_owned()))?;
        let tail = tail.trim_start();
        if tail.is_empty() {
            return Ok((Some(inner), None));
        }
        let otherwise = tail.strip_prefix(':').ok_or_else(syntax)?.trim_start();
        let text = match balanced(otherwise, '{') {
            Some((inner, tail)) if otherwise.starts_with('{') && tail.trim().is_empty() => inner,
            _ => return Err(syntax()),
        };
        return Ok((Some(inner), Some(text)));
    }
    Ok((Some(after), None))
}

/// `==` `!=` `<` `<=` `>=` `>`, by number when both sides are numbers, and the same with "level" for
/// compatibility levels ("3.6" against "2"). None: no such operator.
fn compare(left: &str, operator: &str, right: &str) -> Option<bool> {
    let (sign, ordering) = match operator.strip_suffix("level") {
        Some(sign) => (sign, level(left).cmp(&level(right))),
        None => {
            let numeric = |text: &str| text.parse::<i64>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
            let ordering = match (numeric(left), numeric(right)) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => left.cmp(right),
            };
            (operator, ordering)
        }
    };
    Some(match sign {
        "==" => ordering.is_eq(),
        "!=" => ordering.is_ne(),
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">=" => ordering.is_ge(),
        ">" => ordering.is_gt(),
        _ => return None,
    })
}

/// A compatibility level "major.minor.patch" as numbers.
fn level(text: &str) -> [u64; 3] {
    let mut parts = text.trim().split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, ExpandError> {
        expand(text, &|name| match name {
            "a" => Some("1".into()),
            "b" => Some("$a$a".into()),
            "empty" => Some(String::new()),
            "loop" => Some("$loop".into()),
            "compatibility_level" => Some("3.6".into()),
            _ => None,
        })
    }

    #[test]
    fn the_forms_of_the_manual() {
        for (text, want) in [
            ("x$b.y", "x11.y"),
            ("${a}$(a)$$", "11$"),
            ("${a?yes}${empty?yes}${none?yes}", "yes"),
            ("${a:no}${empty:no}", "1no"),
            ("${a?{t}:{f}}${empty?{t}:{f}}", "tf"),
            ("${a ? {t} : {f}}", "t"),
            ("${{$compatibility_level} <level {2} ? {old} : {new}}", "new"),
            ("${{$a} == {1} ? {one} : {other}}", "one"),
            ("${{10} > {9} ? {number} : {text}}", "number"),
        ] {
            assert_eq!(with(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn errors_have_the_reference_words() {
        assert!(with("$loop").unwrap_err().to_string().starts_with("unreasonable macro call nesting"));
        assert!(with("${a").unwrap_err().to_string().starts_with("truncated macro reference"));
    }
}
