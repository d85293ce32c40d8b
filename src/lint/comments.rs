//! What looks like a comment or a setting and is part of a value.

use super::finding::Findings;
use super::ground::Ground;
use crate::conf::main_cf::split_assignment;
use crate::conf::params;

pub fn check(ground: &Ground, found: &mut Findings) {
    for assignment in &ground.assignments {
        for (line, range) in &assignment.pieces {
            let piece = ground.main.text.get(range.clone()).unwrap_or_default();
            let hash = piece.match_indices('#').map(|(at, _)| at);
            let blank_before = |at: &usize| piece[..*at].is_empty() || piece[..*at].ends_with([' ', '\t']);
            let Some(at) = hash.into_iter().find(blank_before) else { continue };
            found.error(
                Some(ground.main.span(*line, range.start + at..range.end)),
                format!("the comment is part of the value of {}", assignment.name),
                "In main.cf a comment begins with # at the start of a line only.",
                "put the comment on a line of its own, above",
            );
        }
    }
}

pub fn continuation(ground: &Ground, found: &mut Findings) {
    let mut first = true;
    for (line, start, text) in ground.main.lines() {
        let content = text.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let indented = text.starts_with([' ', '\t']);
        let known = split_assignment(text).ok().filter(|(name, _)| params::find(name).is_some());
        if indented && let Some((name, _)) = known {
            let before = ground.assignments.iter().rev().find(|assignment| assignment.line < line);
            let what = match before {
                Some(assignment) if !first => format!("the value of {}", assignment.name),
                _ => "nothing".to_owned(),
            };
            let begin = start + text.len() - content.len();
            found.error(
                Some(ground.main.span(line, start..begin + name.len())),
                format!("this line does not set {name}: it continues {what}"),
                "A line that begins with a blank continues the one above, over comments and empty lines too.",
                "remove the blanks before the name",
            );
        }
        first = false;
    }
}
