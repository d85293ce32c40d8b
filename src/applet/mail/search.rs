//! `--search TEXT`: the messages whose sender, recipients, subject or text hold it, whatever its case; a text that is
//! a message list ("/subject/", "from:/name/", ":u") chooses as the list does.

use super::msglist::{self, Scope};
use super::session::{Session, Trouble};
use super::show;
use crate::message::mime::Part;
use crate::message::{charset, header};

/// The chosen messages, from 0.
pub fn search(session: &mut Session, text: &str) -> Result<Vec<usize>, Trouble> {
    if text.starts_with(['/', ':', '{', '!']) || text.contains(":/") {
        return msglist::choose(session, "search", &[text.to_owned()], Scope::Living);
    }
    let wanted = text.to_lowercase();
    let count = session.open.as_ref().map_or(0, super::session::OpenBox::count);
    let mut found = Vec::new();
    for index in 0..count {
        let (block, body) = show::read(session, index)?;
        let fields = ["From", "To", "Cc", "Subject"];
        let in_header = fields.iter().any(|name| {
            header::find(&block, name)
                .is_some_and(|value| charset::decode_words(&value).to_lowercase().contains(&wanted))
        });
        if in_header || in_text(&Part::parse(&block, &body), &wanted) {
            found.push(index);
        }
    }
    Ok(found)
}

fn in_text(part: &Part, wanted: &str) -> bool {
    if part.parts.is_empty() {
        return part.content_type.kind.starts_with("text/") && part.text().to_lowercase().contains(wanted);
    }
    part.parts.iter().any(|one| in_text(one, wanted))
}
