//! The picture: totals and the last hour above, senders and destinations in the middle, the last troubles below. What
//! there is no room for is left out, the troubles first; 80 columns by 24 lines hold everything.

use super::watch::{Kind, NAMES, Watch, top};
use crate::applet::pflogsumm::output::numbers::text;
use crate::message::display::harmless;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Sparkline, Table};

const COLOURS: [Color; 5] = [Color::Blue, Color::Green, Color::Yellow, Color::Red, Color::Magenta];
/// Lines of the totals, with their heading.
const TOTALS: u16 = 6;
const SOFT: Style = Style::new().add_modifier(Modifier::DIM);
const HEAD: Style = Style::new().add_modifier(Modifier::BOLD);

pub fn draw(frame: &mut Frame<'_>, watch: &Watch<'_>, paused: bool) {
    let area = frame.area();
    // Half of what is left is the lists', up to what they can use; the rest is the troubles'.
    let left = area.height.saturating_sub(1 + TOTALS);
    let lists = if left < 8 { left } else { (left / 2).clamp(4, 16) };
    let [title, totals, lists, troubles] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(TOTALS),
        Constraint::Length(lists),
        Constraint::Fill(1),
    ])
    .areas(area);
    self::title(frame, title, watch, paused);
    if area.width < 70 {
        self::totals(frame, totals, watch);
        senders(frame, lists, watch);
    } else {
        let [numbers, hour] = Layout::horizontal([Constraint::Length(36), Constraint::Fill(1)]).areas(totals);
        self::totals(frame, numbers, watch);
        last_hour(frame, hour, watch);
        let [left, right] = Layout::horizontal([Constraint::Percentage(45), Constraint::Fill(1)]).areas(lists);
        senders(frame, left, watch);
        destinations(frame, right, watch);
    }
    self::troubles(frame, troubles, watch);
}

fn title(frame: &mut Frame<'_>, area: Rect, watch: &Watch<'_>, paused: bool) {
    let style = Style::new().add_modifier(Modifier::REVERSED);
    let keys = match (paused, area.width) {
        (true, 40..) => "paused: p goes on  q ends ",
        (true, _) => "paused ",
        (false, 40..) => "p pauses  q ends ",
        (false, _) => "q ends ",
    };
    frame.render_widget(Paragraph::new(format!(" pflogsumm {}", watch.name)).style(style), area);
    let room = area.width.min(keys.len() as u16);
    let right = Rect { x: area.x + area.width - room, width: room, ..area };
    frame.render_widget(Paragraph::new(keys).style(style).alignment(Alignment::Right), right);
}

fn totals(frame: &mut Frame<'_>, area: Rect, watch: &Watch<'_>) {
    let minute = watch.minutes(1).pop().unwrap_or_default();
    let rows = NAMES.iter().zip(watch.totals()).zip(minute).zip(COLOURS).map(|(((name, total), minute), colour)| {
        let numbers = [Span::styled(*name, Style::new().fg(colour)), right(total, 11), right(minute, 11)];
        Row::new(numbers)
    });
    let head = Row::new(["", "     in all", "last minute"]).style(SOFT);
    let widths = [Constraint::Length(10), Constraint::Length(11), Constraint::Length(11)];
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

fn right(number: u64, width: usize) -> Span<'static> {
    Span::raw(format!("{number:>width$}"))
}

/// A row of bars for deliveries, one for troubles, a minute a column.
fn last_hour(frame: &mut Frame<'_>, area: Rect, watch: &Watch<'_>) {
    let columns = usize::from(area.width.saturating_sub(1)).min(60);
    let minutes = watch.minutes(columns);
    let [head, sent, bad] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(3), Constraint::Fill(1)]).areas(area);
    let most = |at: &[usize]| {
        minutes.iter().map(|minute| at.iter().filter_map(|&at| minute.get(at)).sum::<u64>()).max().unwrap_or(0)
    };
    let words = vec![
        Span::styled(format!("last {columns} minutes, at most "), SOFT),
        Span::styled(format!("{} sent", most(&[1])), Style::new().fg(Color::Green)),
        Span::styled(format!(", {} not", most(&[2, 3, 4])), Style::new().fg(Color::Red)),
    ];
    frame.render_widget(Paragraph::new(Line::from(words)), head);
    let bars = |at: &[usize]| -> Vec<u64> {
        minutes.iter().map(|minute| at.iter().filter_map(|&at| minute.get(at)).sum()).collect()
    };
    frame.render_widget(Sparkline::default().data(bars(&[1])).style(Style::new().fg(Color::Green)), sent);
    frame.render_widget(Sparkline::default().data(bars(&[2, 3, 4])).style(Style::new().fg(Color::Red)), bad);
}

fn titled(title: &str) -> Block<'_> {
    Block::new().borders(Borders::TOP).border_style(SOFT).title(Span::styled(title, HEAD))
}

fn senders(frame: &mut Frame<'_>, area: Rect, watch: &Watch<'_>) {
    let rows = usize::from(area.height.saturating_sub(1));
    let list = top(&watch.state.tallies.senders, rows, |of| of.messages);
    let rows =
        list.into_iter().map(|(sender, of)| Row::new([right(of.messages, 7), Span::raw(harmless(&text(sender)))]));
    let widths = [Constraint::Length(7), Constraint::Fill(1)];
    frame.render_widget(Table::new(rows, widths).block(titled("senders: messages ")), area);
}

fn destinations(frame: &mut Frame<'_>, area: Rect, watch: &Watch<'_>) {
    let rows = usize::from(area.height.saturating_sub(1));
    let list = top(&watch.state.tallies.recipient_domains, rows, |of| of.messages + of.deferrals);
    let rows = list.into_iter().map(|(domain, of)| {
        let style = if of.deferrals > of.messages { Style::new().fg(Color::Yellow) } else { Style::new() };
        Row::new([right(of.messages, 7), right(of.deferrals, 7), Span::raw(harmless(&text(domain)))]).style(style)
    });
    let widths = [Constraint::Length(7), Constraint::Length(7), Constraint::Fill(1)];
    frame.render_widget(Table::new(rows, widths).block(titled("destinations: messages, put off ")), area);
}

fn troubles(frame: &mut Frame<'_>, area: Rect, watch: &Watch<'_>) {
    let room = usize::from(area.height.saturating_sub(1));
    let lines: Vec<Line<'_>> = watch
        .troubles()
        .take(room)
        .map(|trouble| {
            let colour = match trouble.kind {
                Kind::Deferred | Kind::Warning => Color::Yellow,
                Kind::Bounced | Kind::Fatal => Color::Red,
                Kind::Rejected => Color::Magenta,
            };
            Line::from(vec![
                Span::styled(format!("{} ", trouble.time), SOFT),
                Span::styled(trouble.text.as_str(), Style::new().fg(colour)),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(titled("troubles, the last first ")), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applet::pflogsumm::options::{Options, Request, parse};
    use crate::applet::pflogsumm::range::Range;
    use crate::applet::pflogsumm::read::Now;
    use crate::applet::pflogsumm::read::accurate::AccurateReader;
    use crate::applet::pflogsumm::state::State;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    const LOG: &str = "\
Nov 23 08:00:00 mx postfix/smtpd[1]: A1B2C3D4E5: client=a.example[192.0.2.3]
Nov 23 08:00:00 mx postfix/qmgr[1]: A1B2C3D4E5: from=<zed@a.example>, size=100, nrcpt=2 (queue active)
Nov 23 08:00:01 mx postfix/smtp[1]: A1B2C3D4E5: to=<x@b.example>, relay=mx[192.0.2.2]:25, delay=3, delays=0/0/0/3, \
dsn=2.0.0, status=sent (250 ok)
Nov 23 08:00:02 mx postfix/smtp[1]: A1B2C3D4E5: to=<x@c.example>, relay=none, delay=3, delays=0/0/0/3, dsn=4.4.1, \
status=deferred (connect to \x1b]0;owned\x07c.example[192.0.2.9]:25: Connection timed out)
";

    #[test]
    fn all_is_seen_at_80_by_24_and_any_size_is_borne() {
        let Request::Report(options, _) = parse("x", &[]) else { panic!("no report") };
        let options = Options { accurate: true, ..*options };
        let now = jiff::civil::datetime(2026, 11, 24, 12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        let reader = AccurateReader::new(&options, Now::of(&now), Range::default());
        let mut watch = Watch::new("/var/log/mail.log", reader, State::new(&options, None));
        watch.take(LOG.as_bytes());
        let shown = |width: u16, height: u16| -> Vec<String> {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(frame, &watch, false)).unwrap();
            let buffer = terminal.backend().buffer();
            (0..height).map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect()).collect()
        };
        let screen = shown(80, 24).join("\n");
        for what in [
            " pflogsumm /var/log/mail.log",
            "q ends",
            "delivered            1           1",
            "deferred             1           1",
            "      1 zed@a.example",
            "      1       0 b.example",
            "      0       1 c.example",
            "08:00:02 smtp A1B2C3D4E5: to=<x@c.example>",
        ] {
            assert!(screen.contains(what), "{what}\n{screen}");
        }
        assert!(!screen.contains(|c: char| c.is_control() && c != '\n'));
        for (width, height) in [(1, 1), (5, 3), (20, 10), (69, 9), (80, 8), (200, 60)] {
            shown(width, height);
        }
        assert!(shown(40, 24).join("\n").contains("zed@a.example"));
    }
}
