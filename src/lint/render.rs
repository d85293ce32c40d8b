//! Findings for people (in the manner of rustc) and for programs (JSON, one object a finding).

use super::finding::{Finding, Level};
use super::ground::Ground;
use annotate_snippets::{AnnotationKind, Level as Paint, Renderer, Snippet};

/// The text of one finding, with a line end.
pub fn text(ground: &Ground, finding: &Finding, colour: bool) -> String {
    let paint = match finding.level {
        Level::Warning => Paint::WARNING,
        Level::Error => Paint::ERROR,
    };
    let mut group = paint
        .primary_title(&finding.message)
        .id(finding.lint)
        .elements(std::iter::empty::<Snippet<'_, annotate_snippets::Annotation<'_>>>());
    let source = finding.span.as_ref().and_then(|span| Some((span, ground.text_of(&span.file)?)));
    let path = finding.span.as_ref().map(|span| span.file.display().to_string()).unwrap_or_default();
    if let Some((span, text)) = source {
        let range = span.range.start.min(text.len())..span.range.end.min(text.len());
        group = group.element(Snippet::source(text).path(&path).annotation(AnnotationKind::Primary.span(range)));
    }
    group = group.element(Paint::NOTE.message(&finding.why)).element(Paint::HELP.message(&finding.help));
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    format!("{}\n", renderer.render(&[group]))
}

/// {"lint", "level", "message", "file", "line", "column", "end_column", "why", "help"}; the place is left out where
/// there is none. Columns count bytes from 1.
pub fn json(ground: &Ground, finding: &Finding) -> serde_json::Value {
    let mut object = serde_json::json!({
        "lint": finding.lint,
        "level": match finding.level { Level::Warning => "warning", Level::Error => "error" },
        "message": finding.message,
        "why": finding.why,
        "help": finding.help,
    });
    if let Some(span) = &finding.span {
        let text = ground.text_of(&span.file).unwrap_or_default();
        let begin = text.get(..span.range.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        object["file"] = span.file.display().to_string().into();
        object["line"] = span.line.into();
        object["column"] = (span.range.start - begin + 1).into();
        object["end_column"] = (span.range.end.max(span.range.start) - begin + 1).into();
    }
    object
}
