//! A shard's facts in a file (`--partial`), and back (`--merge`): two lines of text, "pflogsumm partial 3" and the
//! settings that lines were read with, then a zstd stream of blocks. A block is its length in four bytes, the lowest
//! first, and that many bytes of [tape](super::tape); one of length 0 ends the file. Nothing in a file is believed: one
//! that is cut off, damaged or of other settings is refused as a whole.

use super::fact::{Fact, Sink};
use super::options::{Options, Top};
use super::replaced::{Replaced, cannot};
use super::tape::{Tape, play};
use crate::exit::{Exit, Failure};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

const HEAD: &str = "pflogsumm partial 3\n";
/// A block is written when it has this many bytes, and one line adds little.
const BLOCK: usize = 1 << 20;
const LARGEST: usize = 64 << 20;
/// The longest line of settings.
const SETTINGS: u64 = 64 * 1024;

/// Writes the facts of a shard.
pub struct Writer {
    to: PathBuf,
    out: zstd::stream::write::Encoder<'static, Out>,
    tape: Tape,
    failed: Option<io::Error>,
}

enum Out {
    File(Replaced),
    Stdout(io::Stdout),
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Out::File(file) => file.write(bytes),
            Out::Stdout(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Out::File(file) => file.flush(),
            Out::Stdout(out) => out.flush(),
        }
    }
}

impl Writer {
    /// "-" is standard output.
    pub fn create(to: &Path, options: &Options) -> Result<Writer, Failure> {
        let open = || -> io::Result<_> {
            let mut file = match to == Path::new("-") {
                true => Out::Stdout(io::stdout()),
                false => Out::File(Replaced::create(to)?),
            };
            file.write_all(format!("{HEAD}{}\n", settings(options)).as_bytes())?;
            let mut encoder = zstd::stream::write::Encoder::new(file, 3)?;
            encoder.include_checksum(true)?;
            Ok(encoder)
        };
        let out = open().map_err(|error| cannot("write", to, &error))?;
        Ok(Writer { to: to.to_owned(), out, tape: Tape::portable(), failed: None })
    }

    fn flush(&mut self) {
        if self.failed.is_none() && !self.tape.bytes().is_empty() {
            self.failed = block(&mut self.out, self.tape.bytes()).err();
        }
        self.tape.clear();
    }

    /// The end; the file has its name from here on.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.flush();
        let result = match self.failed.take() {
            Some(error) => Err(error),
            None => block(&mut self.out, &[]).and_then(|()| self.out.finish()).and_then(|out| match out {
                Out::File(file) => file.finish(),
                Out::Stdout(mut out) => out.flush(),
            }),
        };
        result.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => error.into(),
            _ => cannot("write", &self.to, &error),
        })
    }
}

impl Sink for Writer {
    fn take(&mut self, fact: Fact<'_>) {
        self.tape.take(fact);
        if self.tape.bytes().len() >= BLOCK {
            self.flush();
        }
    }
}

fn block(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

/// Hands the facts of a file to a sink; "-" is standard input.
pub fn read(from: &Path, options: &Options, sink: &mut impl Sink) -> Result<(), Failure> {
    let damaged = || {
        let text = format!("fatal: {}: not a whole partial of pflogsumm --partial", from.display());
        Failure::new(Exit::DATAERR, text)
    };
    let fault = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::Other => damaged(),
        _ => cannot("read", from, &error),
    };
    let source: Box<dyn Read> = match from == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(from).map_err(|error| cannot("read", from, &error))?),
    };
    let mut file = BufReader::new(source);
    let mut line = |limit: u64| -> Result<Vec<u8>, Failure> {
        let mut line = Vec::new();
        file.by_ref().take(limit).read_until(b'\n', &mut line).map_err(fault)?;
        Ok(line)
    };
    let head = line(HEAD.len() as u64)?;
    if head != HEAD.as_bytes() {
        return Err(match head.starts_with(b"pflogsumm partial ") {
            true => {
                let text = format!("fatal: {} was written by another version of pflogsumm", from.display());
                Failure::new(Exit::DATAERR, text)
            }
            false => damaged(),
        });
    }
    let (theirs, ours) = (line(SETTINGS)?, settings(options));
    if theirs.strip_suffix(b"\n") != Some(ours.as_bytes()) {
        let theirs = String::from_utf8_lossy(&theirs).trim_end().to_owned();
        let text =
            format!("fatal: {} was written with other options: {theirs}; these here are: {ours}", from.display());
        return Err(Failure::new(Exit::DATAERR, text));
    }
    let mut decoder = zstd::stream::read::Decoder::with_buffer(file).map_err(fault)?;
    let mut bytes = Vec::new();
    loop {
        let mut length = [0; 4];
        decoder.read_exact(&mut length).map_err(fault)?;
        let length = u32::from_le_bytes(length) as usize;
        if length == 0 {
            // The stream's checksum stands behind it.
            return if decoder.read(&mut [0]).map_err(fault)? == 0 { Ok(()) } else { Err(damaged()) };
        }
        if length > LARGEST {
            return Err(damaged());
        }
        bytes.clear();
        // Grows with what is there, not with what is promised.
        if decoder.by_ref().take(length as u64).read_to_end(&mut bytes).map_err(fault)? < length || !play(&bytes, sink)
        {
            return Err(damaged());
        }
    }
}

/// The options that lines are read with, in one line; how a report is laid out has no part in it.
fn settings(options: &Options) -> String {
    let mut text = format!("rules={}", options.rules());
    let name = options.syslog_name.escape_ascii().to_string();
    if name != "postfix" {
        text += &format!(" syslog-name={name}");
    }
    let mut flag = |name: &str, set: bool| {
        if set {
            text += " ";
            text += name;
        }
    };
    flag("ignore-case", options.ignore_case);
    flag("uucp-mung", options.uucp);
    flag("verbose-msg-detail", options.verbose);
    flag("rej-add-from", options.rej_add_from);
    flag("smtpd-stats", options.smtpd_stats);
    flag("no-smtpd-warnings", !options.smtpd_warnings);
    flag("reject-detail=0", options.rejects == Top::None);
    flag("deferral-detail=0", options.deferrals == Top::None);
    flag("bounce-detail=0", options.bounces == Top::None);
    flag("smtp-detail=0", options.smtp == Top::None);
    if let Some(newer) = &options.newer {
        flag("rej-add-to", newer.rej_add_to);
        flag("srs-mung", newer.srs);
        flag("use-orig-to", newer.original_to);
        flag("ssl-tls-stats", newer.tls_stats);
        flag("pscrn-detail=0", newer.screen == Top::None);
        flag("suppress=rdns-warnings", newer.suppress.names);
        text += &format!(" colwidth={}", newer.width.unwrap_or(0));
    }
    if let Some(verp) = options.verp {
        text += &format!(" verp-mung={}", verp.min(2));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::map::Key;
    use super::super::options::{Request, parse};
    use super::*;

    fn options() -> Box<Options> {
        match parse("x", &[]) {
            Request::Report(options, _) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_written_is_read_and_what_is_damaged_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (path, options) = (dir.path().join("a.partial"), options());
        let mut writer = Writer::create(&path, &options).unwrap();
        let mut tape = Tape::portable();
        for size in 0..100_000 {
            let fact = Fact::Sender { id: Key::of(b"1A2B"), address: Key::of(b"a@b.example"), size };
            writer.take(fact);
            tape.take(fact);
        }
        writer.finish().unwrap();
        let mut found = Tape::portable();
        read(&path, &options, &mut found).unwrap();
        assert!(found.bytes() == tape.bytes());
        let whole = std::fs::read(&path).unwrap();
        for cut in (0..whole.len()).step_by(whole.len() / 50) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(read(&path, &options, &mut Tape::default()).is_err(), "{cut}");
        }
        for at in (0..whole.len()).step_by(whole.len() / 50) {
            let mut bent = whole.clone();
            bent[at] ^= 0x10;
            std::fs::write(&path, &bent).unwrap();
            let mut found = Tape::portable();
            assert!(read(&path, &options, &mut found).is_err() || found.bytes() == tape.bytes(), "{at}");
        }
        let mut other = options;
        other.ignore_case = true;
        std::fs::write(&path, &whole).unwrap();
        let refused = read(&path, &other, &mut Tape::default()).unwrap_err();
        assert!(
            refused.message.unwrap().contains("other options: rules=1.1.5; these here are: rules=1.1.5 ignore-case")
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
