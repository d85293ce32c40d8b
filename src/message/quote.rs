//! Lines that begin with "From " in an mbox: ">" before them when a message is written, off again when it is read
//! (">From " is shown as "From ", ">>From " as ">From ", as mailutils reads them).

/// Whether the line is ">...>From " or "From ".
fn is_from(line: &[u8]) -> bool {
    let marks = line.iter().take_while(|byte| **byte == b'>').count();
    line[marks..].starts_with(b"From ")
}

/// The body as it goes into an mbox.
pub fn quote(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(b"From ") {
            out.push(b'>');
        }
        out.extend_from_slice(line);
    }
    out
}

/// The body as it was written.
pub fn unquote(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        out.extend_from_slice(if line.starts_with(b">") && is_from(line) { &line[1..] } else { line });
    }
    out
}
