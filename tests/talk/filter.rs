//! A mail filter that follows a script, and notes what it was sent. The lines of its script:
//! ```text
//! options VERSION ACTIONS STEPS     what it answers to the negotiation (6 0x1ff 0)
//! symbols STAGE MACROS              a list of macros that it asks for there
//! on EVENT [WORD]: ANSWER / ...     its answers to EVENT, if WORD stands in it or in the sender or HELO name so far
//! ```
//! Events: negotiate connect helo mail rcpt data unknown header eoh body end. Without a line it says "continue".
//! Answers: continue accept reject tempfail discard skip progress shutdown connfail, "reply TEXT", "quarantine TEXT",
//! "add NAME: VALUE", "insert N NAME: VALUE", "change N NAME: VALUE", "delete N NAME", "from ADDRESS [PARAMETERS]",
//! "addrcpt ADDRESS", "addrcptpar ADDRESS PARAMETERS", "delrcpt ADDRESS", "replace TEXT", "big COUNT" (that much new
//! body), "raw BYTES", "silent" (no more answers), "close". "\n", "\r", "\0", "\xNN" are as in C.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Command byte, name, and the negotiated step that keeps its answer back.
const EVENTS: &[(u8, &str, u32)] = &[
    (b'O', "negotiate", 0),
    (b'C', "connect", 0x1000),
    (b'H', "helo", 0x2000),
    (b'M', "mail", 0x4000),
    (b'R', "rcpt", 0x8000),
    (b'T', "data", 0x1_0000),
    (b'U', "unknown", 0x2_0000),
    (b'L', "header", 0x80),
    (b'N', "eoh", 0x4_0000),
    (b'B', "body", 0x8_0000),
    (b'E', "end", 0),
];

struct Script {
    options: [u32; 3],
    symbols: Vec<(u32, String)>,
    answers: Vec<(String, String, Vec<String>)>,
}

pub struct Filter {
    pub name: String,
    /// "inet:127.0.0.1:PORT" for those that do not listen at a path.
    pub inet: Option<String>,
    /// Of each connection: which of two ends first is chance.
    heard: Arc<Mutex<Vec<Vec<String>>>>,
    open: Arc<AtomicUsize>,
}

impl Filter {
    /// `title` is "NAME" for one that listens at unix:BASE/NAME, or "NAME inet".
    pub fn start(title: &str, script: &str, base: &Path) -> Filter {
        let (name, inet) = title.split_once(' ').map_or((title, false), |(name, kind)| (name, kind == "inet"));
        let script = Arc::new(Script::read(script));
        let mut filter = Filter { name: name.to_owned(), inet: None, heard: Arc::default(), open: Arc::default() };
        let (heard, open) = (filter.heard.clone(), filter.open.clone());
        let serve = move |stream: Box<dyn Both>| {
            let (script, heard, open) = (script.clone(), heard.clone(), open.clone());
            open.fetch_add(1, Ordering::SeqCst);
            let place = heard.lock().unwrap().len();
            heard.lock().unwrap().push(Vec::new());
            std::thread::spawn(move || {
                talk(stream, &script, &|line| {
                    heard.lock().unwrap().get_mut(place).into_iter().for_each(|lines| lines.push(line.clone()))
                });
                open.fetch_sub(1, Ordering::SeqCst);
            });
        };
        if inet {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            filter.inet = Some(format!("inet:{}", listener.local_addr().unwrap()));
            std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(|s| serve(Box::new(s))));
        } else {
            let path = base.join(name);
            let _ = std::fs::remove_file(&path);
            let listener = UnixListener::bind(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
            std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(|s| serve(Box::new(s))));
        }
        filter
    }

    /// What it was sent since it was asked last, when nobody talks to it any more.
    pub fn heard(&self) -> Vec<String> {
        let begin = Instant::now();
        while self.open.load(Ordering::SeqCst) > 0 && begin.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.heard.lock().unwrap().drain(..).flatten().map(|line| format!("@ {}: {line}", self.name)).collect()
    }
}

trait Both: Read + Write + Send {}
impl<T: Read + Write + Send> Both for T {}

impl Script {
    fn read(text: &str) -> Script {
        let mut script = Script { options: [6, 0x1ff, 0], symbols: Vec::new(), answers: Vec::new() };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (word, rest) = line.split_once(' ').unwrap();
            match word {
                "options" => {
                    for (place, word) in script.options.iter_mut().zip(rest.split_whitespace()) {
                        *place = number(word);
                    }
                }
                "symbols" => {
                    let (stage, macros) = rest.split_once(' ').unwrap();
                    script.symbols.push((number(stage), macros.to_owned()));
                }
                "on" => {
                    let (when, answers) = rest.split_once(": ").unwrap();
                    let (event, word) = when.split_once(' ').unwrap_or((when, ""));
                    let answers = answers.split(" / ").map(str::to_owned).collect();
                    script.answers.push((event.to_owned(), word.to_owned(), answers));
                }
                other => panic!("script line {other}"),
            }
        }
        script
    }

    fn answers(&self, event: &str, hay: &str) -> Vec<String> {
        let found = self.answers.iter().find(|(name, word, _)| name == event && hay.contains(word.as_str()));
        found.map_or_else(|| vec!["continue".to_owned()], |(_, _, answers)| answers.clone())
    }

    fn negotiation(&self) -> Vec<u8> {
        let mut data: Vec<u8> = self.options.iter().flat_map(|value| value.to_be_bytes()).collect();
        for (stage, macros) in &self.symbols {
            data.extend(stage.to_be_bytes());
            data.extend(macros.as_bytes());
            data.push(0);
        }
        packet(b'O', &data)
    }
}

fn number(text: &str) -> u32 {
    text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u32::from_str_radix(hex, 16)).unwrap()
}

fn packet(kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len() + 1).unwrap();
    [&length.to_be_bytes()[..], &[kind], data].concat()
}

fn talk(mut stream: Box<dyn Both>, script: &Script, note: &dyn Fn(String)) {
    let (mut helo, mut mail, mut silent) = (String::new(), String::new(), false);
    loop {
        let mut head = [0u8; 5];
        if stream.read_exact(&mut head).is_err() {
            return;
        }
        let length = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        let mut data = vec![0; length - 1];
        if stream.read_exact(&mut data).is_err() {
            return note("(cut off)".to_owned());
        }
        let shown = show(head[4], &data);
        note(shown.clone());
        match head[4] {
            b'H' => helo.clone_from(&shown),
            b'M' => mail.clone_from(&shown),
            b'Q' => return,
            _ => {}
        }
        let Some((_, event, quiet)) = EVENTS.iter().find(|(kind, ..)| *kind == head[4]) else { continue };
        if silent || script.options[2] & quiet != 0 {
            continue;
        }
        let asked = script.answers(event, &format!("{shown}\n{helo}\n{mail}"));
        if *event == "negotiate" && asked == ["continue"] {
            if stream.write_all(&script.negotiation()).is_err() {
                return;
            }
            continue;
        }
        for answer in asked {
            match answer.as_str() {
                "silent" => silent = true,
                "close" => return,
                answer => {
                    if stream.write_all(&reply(answer)).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// A command as a line.
fn show(kind: u8, data: &[u8]) -> String {
    let strings = |data: &[u8]| -> Vec<String> {
        let data = data.strip_suffix(b"\0").unwrap_or(data);
        data.split(|&byte| byte == 0).map(escaped).collect()
    };
    match kind {
        b'O' => {
            let word = |at: usize| u32::from_be_bytes(data[at..at + 4].try_into().unwrap());
            format!("negotiate {} {:#x} {:#x}", word(0), word(4), word(8))
        }
        b'D' => {
            let stage = EVENTS.iter().find(|(kind, ..)| *kind == data[0]).map_or("?", |(_, name, _)| name);
            let words = if data.len() > 1 { strings(&data[1..]) } else { Vec::new() };
            let pairs: Vec<String> = words
                .chunks(2)
                .map(|pair| {
                    let value = if pair[0].contains("port") { "..." } else { pair[1].as_str() };
                    format!("{}={value}", pair[0])
                })
                .collect();
            format!("macros for {stage}: {}", pairs.join(", ")).trim_end().to_owned()
        }
        b'C' => {
            let end = data.iter().position(|&byte| byte == 0).unwrap();
            let (name, rest) = (escaped(&data[..end]), &data[end + 1..]);
            let address = rest.get(3..).map(|rest| strings(rest).join(" ")).unwrap_or_default();
            format!("connect {name} {} {address}", char::from(rest[0])).trim_end().to_owned()
        }
        b'H' => format!("helo {}", strings(data).join(" ")),
        b'M' => format!("mail {}", strings(data).join(" ")),
        b'R' => format!("rcpt {}", strings(data).join(" ")),
        b'T' => "data".to_owned(),
        b'U' => format!("unknown {}", strings(data).join(" ")),
        b'L' => format!("header {}", strings(data).join(":")),
        b'N' => "eoh".to_owned(),
        b'B' if data.len() > 300 => {
            format!("body of {} bytes to \"{}\"", data.len(), escaped(&data[data.len() - 20..]))
        }
        b'B' => format!("body {}", escaped(data)),
        b'E' => format!("end {}", escaped(data)).trim_end().to_owned(),
        b'A' => "abort".to_owned(),
        b'Q' => "quit".to_owned(),
        other => format!("command {:?}", char::from(other)),
    }
}

fn escaped(data: &[u8]) -> String {
    let mut out = String::new();
    for c in String::from_utf8_lossy(data).chars() {
        match c {
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out
}

/// An answer as packets.
fn reply(answer: &str) -> Vec<u8> {
    let (word, rest) = answer.split_once(' ').unwrap_or((answer, ""));
    let text = crate::unescape(rest);
    let with_zero = |text: &[u8]| [text, b"\0"].concat();
    // "NAME: VALUE", where the blank is the protocol's.
    let header = |text: &[u8]| {
        let colon = text.iter().position(|&byte| byte == b':').unwrap_or(text.len());
        let value = text.get(colon + 2..).unwrap_or_default();
        [with_zero(&text[..colon]), with_zero(value)].concat()
    };
    let numbered = |text: &[u8]| {
        let blank = text.iter().position(|&byte| byte == b' ').unwrap();
        let index = number(std::str::from_utf8(&text[..blank]).unwrap());
        [index.to_be_bytes().to_vec(), header(&text[blank + 1..])].concat()
    };
    let address = |text: &[u8]| {
        let blank = text.iter().position(|&byte| byte == b' ');
        match blank {
            Some(at) => [with_zero(&text[..at]), with_zero(&text[at + 1..])].concat(),
            None => with_zero(text),
        }
    };
    match word {
        "continue" => packet(b'c', b""),
        "accept" => packet(b'a', b""),
        "reject" => packet(b'r', b""),
        "tempfail" => packet(b't', b""),
        "discard" => packet(b'd', b""),
        "skip" => packet(b's', b""),
        "progress" => packet(b'p', b""),
        "shutdown" => packet(b'4', b""),
        "connfail" => packet(b'f', b""),
        "reply" => packet(b'y', &with_zero(&text)),
        "quarantine" => packet(b'q', &with_zero(&text)),
        "add" => packet(b'h', &header(&text)),
        "insert" => packet(b'i', &numbered(&text)),
        "change" | "delete" => packet(b'm', &numbered(&text)),
        "from" => packet(b'e', &address(&text)),
        "addrcpt" => packet(b'+', &with_zero(&text)),
        "addrcptpar" => packet(b'2', &address(&text)),
        "delrcpt" => packet(b'-', &with_zero(&text)),
        "replace" => packet(b'b', &text),
        "big" => {
            let line = [&[b'x'; 62][..], b"\r\n"].concat();
            let count = number(rest) as usize;
            line.repeat(count / 64).chunks(64_000).flat_map(|chunk| packet(b'b', chunk)).collect()
        }
        "raw" => text,
        other => panic!("answer {other}"),
    }
}
