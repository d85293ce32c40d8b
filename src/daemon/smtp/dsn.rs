//! RFC 3461 towards a host that offers DSN: what the sender asked for goes with the mail, and is the host's to tell.

use crate::ipc::delivery::Target;
use crate::proto::xtext;
use crate::queue::file::notify;

/// " ENVID=... RET=..." for MAIL FROM.
pub fn mail_words(envelope_id: &str, ret_flags: &str) -> String {
    let mut words = String::new();
    if !envelope_id.is_empty() {
        words.push_str(&format!(" ENVID={}", xtext::encode(envelope_id)));
    }
    match ret_flags {
        "1" => words.push_str(" RET=FULL"),
        "2" => words.push_str(" RET=HDRS"),
        _ => {}
    }
    words
}

/// " ORCPT=... NOTIFY=..." for RCPT TO.
pub fn recipient_words(target: &Target) -> String {
    let mut words = String::new();
    if let Some((kind, address)) = target.dsn_original.split_once(';') {
        words.push_str(&format!(" ORCPT={kind};{}", xtext::encode(address)));
    }
    let names = [
        (notify::NEVER, "NEVER"),
        (notify::SUCCESS, "SUCCESS"),
        (notify::FAILURE, "FAILURE"),
        (notify::DELAY, "DELAY"),
    ];
    let wanted: Vec<&str> = names.iter().filter(|(bit, _)| target.notify & bit != 0).map(|(_, name)| *name).collect();
    if !wanted.is_empty() {
        words.push_str(&format!(" NOTIFY={}", wanted.join(",")));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_commands() {
        assert_eq!(mail_words("env+1", "2"), " ENVID=env+2B1 RET=HDRS");
        assert_eq!(mail_words("", ""), "");
        let target = Target {
            offset: 1,
            address: "b@x".into(),
            original: "a".into(),
            dsn_original: "rfc822;a b@x".into(),
            notify: notify::SUCCESS | notify::FAILURE,
        };
        assert_eq!(recipient_words(&target), " ORCPT=rfc822;a+20b@x NOTIFY=SUCCESS,FAILURE");
    }
}
