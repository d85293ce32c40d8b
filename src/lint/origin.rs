//! myorigin = /file.

use super::finding::Findings;
use super::ground::Ground;

pub fn check(ground: &Ground, found: &mut Findings) {
    if let Err(error) = ground.cf.origin_name() {
        found.error(
            ground.value_span("myorigin"),
            format!("myorigin names a file that cannot be read: {error}"),
            "Every program of the mail system stops on this.",
            "write the domain into the file (Debian: /etc/mailname), or set myorigin = $mydomain",
        );
    }
}
