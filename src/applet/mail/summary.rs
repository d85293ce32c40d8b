//! Summaries: the line about the mailbox, and one line a message after the `headline` variable.

use super::headline::{Format, Style};
use super::screen::Screen;
use super::session::{OpenBox, Session, Trouble};
use super::threads;
use crate::mailbox::outline::Outlines;
use std::io;
use std::num::NonZero;

/// Shows the mailbox's line, from which on its first new message is the current one.
pub fn announce(session: &mut Session) -> Result<(), Trouble> {
    let line = mailbox_line(session);
    session.screen.line(&line)?;
    if let Some(open) = &mut session.open {
        open.go(open.first());
    }
    Ok(())
}

/// `"/var/mail/toto": 3 messages 3 new`.
pub fn mailbox_line(session: &Session) -> String {
    let texts = session.texts;
    let Some(open) = &session.open else { return texts.say("\"{}\": {} messages", &["", "0"]) };
    let count = |wanted: &dyn Fn(usize) -> bool| (0..open.count()).filter(|&index| wanted(index)).count();
    let mut line = texts.count(
        open.count(),
        "\"{}\": {} message",
        "\"{}\": {} messages",
        &[&open.name, &open.count().to_string()],
    );
    for (number, one, many) in [
        (count(&|index| open.is_new(index)), " {} new", " {} new "),
        (count(&|index| open.is_old_unread(index)), " {} unread", " {} unread "),
        (count(&|index| open.states[index].deleted), " {} deleted", " {} deleted "),
    ] {
        if number > 0 {
            line.push_str(texts.count(number, one, many, &[&number.to_string()]).trim_end());
        }
    }
    line
}

/// Lines of these messages, on the screen.
pub fn print(session: &mut Session, indices: &[usize]) -> Result<(), Trouble> {
    let (format, unknown) = Format::parse(session.variables.headline());
    for specifier in unknown {
        let specifier = specifier.map(String::from).unwrap_or_default();
        let say = session.texts.say("unknown format specifier: %{}", &[&specifier]);
        session.complain(&say);
    }
    let places = in_order(session, indices)?;
    let style = Style::of(session);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(places.len() / SHARE).max(1);
    let mut all: Vec<Lines> = std::iter::repeat_with(Lines::default).take(threads).collect();
    let mut rest = places.as_slice();
    while !rest.is_empty() {
        // What is not there is told where it stands in the list.
        let count = session.open.as_ref().map_or(0, OpenBox::count);
        let there = rest.iter().take(BATCH).take_while(|place| place.index < count).count();
        if let Some(open) = &session.open {
            format_all(&format, &style, open, &rest[..there], &mut all)?;
            for lines in &all {
                show(&mut session.screen, style.colour, lines)?;
            }
        }
        rest = &rest[there..];
        if there < BATCH
            && let Some(place) = rest.first()
        {
            session.there(place.index)?;
            rest = &rest[1..];
        }
    }
    Ok(())
}

/// Lines that are in memory at one time.
const BATCH: usize = 16 * 1024;
/// So few lines are one thread's work.
const SHARE: usize = 2048;

/// What one thread writes: lines, one after the other, and in colour of each where it ends and whether it stands out.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    ends: Vec<(usize, bool)>,
}

/// The lines of these messages, a share of them in each of `all`.
fn format_all(
    format: &Format,
    style: &Style,
    open: &OpenBox,
    places: &[threads::Place],
    all: &mut [Lines],
) -> io::Result<()> {
    for lines in &mut *all {
        lines.text.clear();
        lines.ends.clear();
    }
    let shares = places.chunks(places.len().div_ceil(all.len()).max(1));
    std::thread::scope(|scope| {
        let mut work = all.iter_mut().zip(shares);
        let Some((first, places)) = work.next() else { return Ok(()) };
        let others: Vec<_> =
            work.map(|(lines, places)| scope.spawn(move || lines.fill(format, style, open, places))).collect();
        let mut done = first.fill(format, style, open, places);
        for thread in others {
            done = done.and(thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread died"))));
        }
        done
    })
}

impl Lines {
    fn fill(&mut self, format: &Format, style: &Style, open: &OpenBox, places: &[threads::Place]) -> io::Result<()> {
        let mut outlines = Outlines::new(&open.mbox, format.wants_more(style));
        let mut line = String::new();
        for place in places {
            line.clear();
            format.line(style, open, place, &outlines.of(place.index)?, &mut line);
            self.text.extend_from_slice(line.as_bytes());
            self.text.push(b'\n');
            if style.colour {
                self.ends.push((self.text.len(), !open.is_read(place.index)));
            }
        }
        Ok(())
    }
}

fn show(screen: &mut Screen, colour: bool, lines: &Lines) -> io::Result<()> {
    if !colour {
        return screen.message(&lines.text);
    }
    let mut start = 0;
    for &(end, stands_out) in &lines.ends {
        let line = &lines.text[start..end];
        if stands_out {
            screen.emphasis(line.strip_suffix(b"\n").unwrap_or(line))?;
            screen.message(b"\n")?;
        } else {
            screen.message(line)?;
        }
        start = end;
    }
    Ok(())
}

/// Messages in the order of the summary: as they stand, or with `threads` the answers below what they answer.
fn in_order(session: &Session, indices: &[usize]) -> Result<Vec<threads::Place>, Trouble> {
    let Some(open) = session.open.as_ref().filter(|_| session.variables.is_set("threads")) else {
        return Ok(indices.iter().map(|&index| threads::Place { index, depth: 0 }).collect());
    };
    // A thread may begin outside the part that is shown.
    let living: Vec<usize> = (0..open.count()).filter(|&index| !open.states[index].deleted).collect();
    let wanted: std::collections::HashSet<usize> = indices.iter().copied().collect();
    let mut places = threads::order(open, &living)?;
    places.retain(|place| wanted.contains(&place.index));
    Ok(places)
}

/// The messages that are not deleted, in the order of the summary.
pub fn listed(session: &Session) -> Result<Vec<usize>, Trouble> {
    let Some(open) = &session.open else { return Ok(Vec::new()) };
    let living: Vec<usize> = (0..open.count()).filter(|&index| !open.states[index].deleted).collect();
    Ok(in_order(session, &living)?.into_iter().map(|place| place.index).collect())
}

/// Lines of a screenful.
pub fn height(session: &Session) -> usize {
    usize::try_from(session.variables.number("screen").unwrap_or(22)).unwrap_or(22)
}

/// The messages of the screenful that holds the current one.
pub fn screenful(session: &mut Session) -> Result<Vec<usize>, Trouble> {
    let height = height(session);
    if session.variables.is_set("threads") {
        let listed = listed(session)?;
        let current = session.open.as_ref().map_or(0, OpenBox::current);
        let at = listed.iter().position(|&index| index == current).unwrap_or(0);
        let top = (at - at % height.max(1)).min(listed.len().saturating_sub(height));
        return Ok(listed[top..(top + height).min(listed.len())].to_vec());
    }
    let Some(open) = &mut session.open else { return Ok(Vec::new()) };
    open.page.resize(height, &open.states);
    Ok(open.page.messages(&open.states).take(height).collect())
}
