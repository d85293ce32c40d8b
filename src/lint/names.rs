//! Names that mean nothing: misspelt ones, those that nothing uses, those that are set twice or mentioned and nowhere
//! set.

use super::finding::Findings;
use super::ground::Ground;
use crate::conf::main_cf::Note;
use crate::conf::params::PARAMS;

/// The known name that is nearest to a misspelt one, if one is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.len() / 5).clamp(1, 3);
    known.map(|other| (distance(name, other), other)).filter(|(far, _)| *far <= limit).min().map(|(_, other)| other)
}

/// How many letters are added, left out, changed, or have changed places.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (at, row) in rows.iter_mut().enumerate() {
        row[0] = at;
    }
    for (at, cell) in rows[0].iter_mut().enumerate() {
        *cell = at;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

fn meant(ground: &Ground, name: &str) -> Option<String> {
    if super::dated::replacement(name).is_some() || super::dated::since(name).is_some() {
        return None;
    }
    let known = PARAMS.iter().map(|row| row.name).chain(ground.scope.names.keys().map(String::as_str));
    nearest(name, known).map(str::to_owned)
}

pub fn unknown(ground: &Ground, found: &mut Findings) {
    for (name, _) in ground.scope.unused_main(&ground.cf) {
        if let Some(near) = meant(ground, name) {
            found.error(
                ground.name_span(name),
                format!("unknown parameter {name}"),
                "Postfix ignores a name that it does not know: the default stays in force.",
                format!("did you mean {near}?"),
            );
        }
    }
}

pub fn unused(ground: &Ground, found: &mut Findings) {
    for (name, _) in ground.scope.unused_main(&ground.cf) {
        let dated = super::dated::replacement(name).is_some() || super::dated::since(name).is_some();
        if !dated && meant(ground, name).is_none() {
            found.warning(
                ground.name_span(name),
                format!("nothing uses the parameter {name}"),
                "It is no parameter of Postfix, no value mentions it, and no restriction class or service has the name.",
                format!("remove the line, or mention ${name} where it is meant to act"),
            );
        }
    }
}

pub fn twice(ground: &Ground, found: &mut Findings) {
    let span = |line: usize, name: &str| {
        let again = ground.assignments.iter().find(|assignment| assignment.line == line && assignment.name == name);
        again.map(|assignment| ground.main.span(line, assignment.name_range.clone()))
    };
    for note in ground.cf.notes() {
        if let Note::Double { line, name, value, .. } = note {
            found.warning(
                span(*line, name),
                format!("{name} is set twice"),
                "The last line wins; the earlier one has no effect.",
                format!("remove one of the lines; the earlier value is \"{value}\""),
            );
        }
    }
    for (line, name) in ground.cf.repeated() {
        found.warning(
            span(*line, name),
            format!("{name} is set twice"),
            "The lines say the same, until only one of them is changed.",
            "remove one of the lines".to_owned(),
        );
    }
}

pub fn undefined(ground: &Ground, found: &mut Findings) {
    for name in &ground.scope.undefined_main {
        let mentions =
            |text: &str| ["$NAME", "${NAME", "$(NAME"].iter().find_map(|form| text.find(&form.replace("NAME", name)));
        let place = ground.assignments.iter().find_map(|assignment| {
            assignment.pieces.iter().find_map(|(line, range)| {
                let at = range.start + mentions(ground.main.text.get(range.clone())?)?;
                let length = ground.main.text.get(at..)?.find(name.as_str())? + name.len();
                Some(ground.main.span(*line, at..at + length))
            })
        });
        let near = meant(ground, name).map(|near| format!("did you mean ${near}?"));
        found.error(
            place,
            format!("${name} is mentioned and never set"),
            "An undefined name expands to nothing, without a word.",
            near.unwrap_or_else(|| format!("set {name}, or write $$ for a dollar sign")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let known = || ["smtpd_recipient_restrictions", "mydestination", "mynetworks", "myorigin"].into_iter();
        assert_eq!(nearest("smtpd_recipent_restrictions", known()), Some("smtpd_recipient_restrictions"));
        assert_eq!(nearest("mydestinations", known()), Some("mydestination"));
        assert_eq!(nearest("mynetwroks", known()), Some("mynetworks"));
        assert_eq!(nearest("my_own_thing", known()), None);
    }
}
