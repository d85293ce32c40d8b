//! What pop3d's processes say to each other: length-prefixed fields, read with limits, nothing left over. No process
//! trusts another, so a message that is not exactly well-formed is refused.

/// Longest field.
const LONGEST: usize = 16 * 1024;
/// Longest message.
pub const MESSAGE: usize = 64 * 1024;

/// Fields in their order.
fn encode(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        let field = &field[..field.len().min(LONGEST)];
        out.extend_from_slice(&(field.len() as u32).to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

fn decode<const N: usize>(mut message: &[u8]) -> Option<[Vec<u8>; N]> {
    let mut fields = [const { Vec::new() }; N];
    for field in &mut fields {
        let (length, rest) = message.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok().filter(|&length| length <= LONGEST)?;
        let (value, rest) = rest.split_at_checked(length)?;
        *field = value.to_vec();
        message = rest;
    }
    message.is_empty().then_some(fields)
}

fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok().filter(|text| !text.contains(['\0', '\n']))
}

/// Login process to keeper, and keeper to verifier: whose password this is. The client's socket travels along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub id: u32,
    pub user: Vec<u8>,
    pub password: Vec<u8>,
    /// The client's address.
    pub remote: String,
    /// The session's name in the log.
    pub session: String,
    /// Commands that came behind the password.
    pub rest: Vec<u8>,
}

impl Request {
    pub fn encode(&self) -> Vec<u8> {
        let id = self.id.to_be_bytes();
        encode(&[&id, &self.user, &self.password, self.remote.as_bytes(), self.session.as_bytes(), &self.rest])
    }

    pub fn decode(message: &[u8]) -> Option<Request> {
        let [id, user, password, remote, session, rest] = decode(message)?;
        let id = u32::from_be_bytes(id.try_into().ok()?);
        Some(Request { id, user, password, remote: text(remote)?, session: text(session)?, rest })
    }
}

/// What the keeper answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The session runs in the process of this number.
    Yes(u32),
    No,
    /// It could not be found out.
    Temporary,
    /// Too many sessions of this user from this address.
    Crowded,
}

/// The id of no attempt: the keeper tells the login process to take no more connections, and to end with its last.
pub const FINISH: u32 = u32::MAX;

impl Verdict {
    pub fn encode(self, id: u32) -> Vec<u8> {
        let (letter, process) = match self {
            Verdict::Yes(process) => (b'y', process),
            Verdict::No => (b'n', 0),
            Verdict::Temporary => (b't', 0),
            Verdict::Crowded => (b'c', 0),
        };
        encode(&[&id.to_be_bytes(), &[letter], &process.to_be_bytes()])
    }

    pub fn decode(message: &[u8]) -> Option<(u32, Verdict)> {
        let [id, letter, process] = decode(message)?;
        let number = |bytes: Vec<u8>| Some(u32::from_be_bytes(bytes.try_into().ok()?));
        let verdict = match letter.as_slice() {
            b"y" => Verdict::Yes(number(process)?),
            b"n" => Verdict::No,
            b"t" => Verdict::Temporary,
            b"c" => Verdict::Crowded,
            _ => return None,
        };
        Some((number(id)?, verdict))
    }
}

/// Verifier to the session that it becomes: everything that a user's process may not read for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    pub user: String,
    pub session: String,
    /// "mbox" or "maildir"
    pub kind: String,
    pub mailbox: Vec<u8>,
    /// Where the UIDs and the journal are kept; empty: nowhere.
    pub state: Vec<u8>,
    pub uidl_format: String,
    pub logout_format: String,
    /// "n": RETR does not mark a message as read.
    pub flags: String,
    pub rest: Vec<u8>,
}

impl Start {
    pub fn encode(&self) -> Vec<u8> {
        encode(&[
            self.user.as_bytes(),
            self.session.as_bytes(),
            self.kind.as_bytes(),
            &self.mailbox,
            &self.state,
            self.uidl_format.as_bytes(),
            self.logout_format.as_bytes(),
            self.flags.as_bytes(),
            &self.rest,
        ])
    }

    pub fn decode(message: &[u8]) -> Option<Start> {
        let [user, session, kind, mailbox, state, uidl, logout, flags, rest] = decode(message)?;
        Some(Start {
            user: text(user)?,
            session: text(session)?,
            kind: text(kind)?,
            mailbox,
            state,
            uidl_format: text(uidl)?,
            logout_format: text(logout)?,
            flags: text(flags)?,
            rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_and_damaged_ones_do_not() {
        let request = Request {
            id: 7,
            user: b"toto".to_vec(),
            password: vec![0, 255],
            remote: "::1".into(),
            session: "abc".into(),
            rest: b"STAT\r\n".to_vec(),
        };
        let message = request.encode();
        assert_eq!(Request::decode(&message), Some(request));
        for end in 0..message.len() {
            assert_eq!(Request::decode(&message[..end]), None);
        }
        assert_eq!(Request::decode(&[message.as_slice(), b"x"].concat()), None);
        for verdict in [Verdict::Yes(12), Verdict::No, Verdict::Temporary, Verdict::Crowded] {
            assert_eq!(Verdict::decode(&verdict.encode(3)), Some((3, verdict)));
        }
        let start = Start { user: "toto".into(), rest: b"x".to_vec(), ..Start::default() };
        assert_eq!(Start::decode(&start.encode()), Some(start));
    }
}
