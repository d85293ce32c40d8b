//! Passwords by PAM through libpam.so.0, loaded when it is needed. Runs in a process of its own: modules may do as
//! they like, and what they leave behind ends with it.

use super::dynamic::Library;
use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

/// What PAM says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    /// A wrong password, an unknown user, an account that is locked or has expired; with PAM's number.
    No(i32),
    /// There is no libpam or no such service here.
    Unavailable,
}

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

type Converse = extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int;

#[repr(C)]
struct Conversation {
    converse: Converse,
    password: *mut c_void,
}

const SUCCESS: c_int = 0;
const CONVERSATION_FAILED: c_int = 19;
const PROMPT_ECHO_OFF: c_int = 1;
const PROMPT_ECHO_ON: c_int = 2;
const REMOTE_HOST: c_int = 4;
const TERMINAL: c_int = 3;

type Start = unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut *mut c_void) -> c_int;
type Step = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;
type SetItem = unsafe extern "C" fn(*mut c_void, c_int, *const c_void) -> c_int;

/// Asks PAM's `service` about a user and password; `remote` is the client's address, for its logs and rules.
pub fn authenticate(service: &str, user: &[u8], password: &[u8], remote: &str) -> Answer {
    let configured = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"];
    if !configured.iter().any(|dir| Path::new(dir).join(service).exists()) {
        return Answer::Unavailable;
    }
    let Some(library) = Library::open(&[c"libpam.so.0"]) else { return Answer::Unavailable };
    let symbols = [c"pam_start", c"pam_authenticate", c"pam_acct_mgmt", c"pam_end", c"pam_set_item"];
    let [Some(start), Some(authenticate), Some(account), Some(end), Some(set_item)] =
        symbols.map(|name| library.symbol(name))
    else {
        return Answer::Unavailable;
    };
    // SAFETY: these functions have had these signatures since Linux-PAM 1.0.
    let (start, authenticate, account, end, set_item) = unsafe {
        (
            std::mem::transmute::<*mut c_void, Start>(start.as_ptr()),
            std::mem::transmute::<*mut c_void, Step>(authenticate.as_ptr()),
            std::mem::transmute::<*mut c_void, Step>(account.as_ptr()),
            std::mem::transmute::<*mut c_void, Step>(end.as_ptr()),
            std::mem::transmute::<*mut c_void, SetItem>(set_item.as_ptr()),
        )
    };
    let strings = [service.as_bytes(), user, password, remote.as_bytes()].map(|text| CString::new(text).ok());
    let [Some(service), Some(user), Some(password), Some(remote)] = strings else {
        return Answer::No(CONVERSATION_FAILED);
    };
    let conversation = Conversation { converse, password: password.as_ptr().cast_mut().cast() };
    let mut handle = ptr::null_mut();
    // SAFETY: all strings and the conversation outlive the handle, which pam_end frees below.
    unsafe {
        let started = start(service.as_ptr(), user.as_ptr(), &conversation, &mut handle);
        if started != SUCCESS {
            return Answer::No(started);
        }
        set_item(handle, REMOTE_HOST, remote.as_ptr().cast());
        set_item(handle, TERMINAL, c"dovecot".as_ptr().cast());
        let mut status = authenticate(handle, 0);
        if status == SUCCESS {
            status = account(handle, 0);
        }
        end(handle, status);
        if status == SUCCESS { Answer::Yes } else { Answer::No(status) }
    }
}

/// Answers each prompt with the password.
extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    password: *mut c_void,
) -> c_int {
    let Ok(count) = usize::try_from(count) else { return CONVERSATION_FAILED };
    if count == 0 || count > 32 || messages.is_null() || responses.is_null() || password.is_null() {
        return CONVERSATION_FAILED;
    }
    // SAFETY: libpam passes `count` valid message pointers and frees the answers, which therefore come from calloc
    // and strdup; the password pointer is the one given to pam_start, to a terminated string.
    unsafe {
        let answers = libc::calloc(count, size_of::<Response>()).cast::<Response>();
        if answers.is_null() {
            return CONVERSATION_FAILED;
        }
        for at in 0..count {
            let message = *messages.add(at);
            if !message.is_null() && matches!((*message).style, PROMPT_ECHO_OFF | PROMPT_ECHO_ON) {
                (*answers.add(at)).text = libc::strdup(password.cast::<c_char>());
            }
        }
        *responses = answers;
    }
    SUCCESS
}
