//! A listing as people read it (mailq) and as programs do (-j): showq's objects, one a line, printed.

use super::unavailable;
use crate::exit::Failure;
use crate::ipc::listing::Listed;
use std::io::{self, BufRead, BufReader, Read, Write};

/// Longest object: a message with very many recipients.
const MAX_LINE: u64 = 1 << 26;

/// How the queue is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
}

/// Prints the listing that comes from `source`.
pub fn print(source: Box<dyn Read>, form: Form) -> Result<(), Failure> {
    let unwritten = |error: io::Error| match error.kind() {
        // A reader that went away is a normal end.
        io::ErrorKind::BrokenPipe => Failure::from(error),
        _ => unavailable(format!("output write error: {}", crate::sys::files::reason(&error))),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut lines = BufReader::new(source);
    let mut total = Total::default();
    let mut line = String::new();
    loop {
        line.clear();
        if lines.by_ref().take(MAX_LINE).read_line(&mut line)? == 0 {
            break;
        }
        let listed: Listed =
            serde_json::from_str(&line).map_err(|error| unavailable(format!("malformed queue report: {error}")))?;
        match form {
            Form::Json => writeln!(out, "{}", json(&listed)),
            Form::Text => total.print(&mut out, &listed),
        }
        .map_err(unwritten)?;
    }
    if form == Form::Text {
        total.end(&mut out).map_err(unwritten)?;
    }
    out.flush().map_err(unwritten)
}

/// JSON with the reference's blanks after colons and commas.
fn json(listed: &Listed) -> String {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let recipients: Vec<String> = listed
        .recipients
        .iter()
        .map(|recipient| {
            let reason = recipient.delay_reason.as_ref().map(|reason| format!(", \"delay_reason\": {}", text(reason)));
            format!("{{\"address\": {}{}}}", text(&recipient.address), reason.unwrap_or_default())
        })
        .collect();
    format!(
        "{{\"queue_name\": {}, \"queue_id\": {}, \"arrival_time\": {}, \"message_size\": {}, \"forced_expire\": {}, \"sender\": {}, \"recipients\": [{}]}}",
        text(&listed.queue_name),
        text(&listed.queue_id),
        listed.arrival_time,
        listed.message_size,
        listed.forced_expire,
        text(&listed.sender),
        recipients.join(", ")
    )
}

/// The table that mailq prints, and its last line.
#[derive(Default)]
struct Total {
    messages: u64,
    bytes: u64,
}

impl Total {
    fn print(&mut self, out: &mut impl Write, listed: &Listed) -> io::Result<()> {
        if self.messages == 0 {
            writeln!(out, "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------")?;
        } else {
            writeln!(out)?;
        }
        self.messages += 1;
        self.bytes += listed.message_size;
        let mark = match listed.queue_name.as_str() {
            "active" => "*",
            "hold" => "!",
            _ => "",
        };
        let expired = if listed.forced_expire { "#" } else { "" };
        let id = format!("{}{mark}{expired}", listed.queue_id);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(listed.arrival_time);
        let stamp = crate::message::stamp::ctime(time);
        writeln!(
            out,
            "{id:<11} {:>7} {}  {}",
            listed.message_size,
            stamp.get(..19).unwrap_or_default(),
            listed.sender
        )?;
        let mut said: Option<&str> = None;
        for recipient in &listed.recipients {
            // Below a reason there is one for everybody.
            let reason = recipient.delay_reason.as_deref().or(said.and(Some("reason unavailable")));
            if let Some(reason) = reason.filter(|_| said != reason) {
                let indent = 76usize.saturating_sub(reason.len());
                writeln!(out, "{}({reason})", " ".repeat(indent))?;
            }
            said = reason;
            writeln!(out, "{:41}{}", "", recipient.address)?;
        }
        Ok(())
    }

    fn end(&self, out: &mut impl Write) -> io::Result<()> {
        if self.messages == 0 {
            return writeln!(out, "Mail queue is empty");
        }
        let plural = if self.messages == 1 { "" } else { "s" };
        writeln!(out, "\n-- {} Kbytes in {} Request{plural}.", self.bytes / 1024, self.messages)
    }
}
