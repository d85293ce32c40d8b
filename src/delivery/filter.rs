//! default_delivery_status_filter and its kin: other words, and within failures another code, for what became of a
//! recipient (postconf(5)). A table that gives no answer changes nothing.

use crate::log::Log;
use crate::status::{Code, Report, Verdict};
use crate::table::{Maps, Options};

pub struct Filter {
    title: &'static str,
    maps: Maps,
}

impl Filter {
    /// By the parameter's name and its value.
    pub fn new(title: &'static str, list: &str) -> Filter {
        Filter { title, maps: Maps::open(title, list, &Options::default()) }
    }

    /// The report that is told. What was delivered stays delivered, and what was not is never called so.
    pub fn apply(&self, report: Report, log: &Log) -> Report {
        if self.maps.is_empty() {
            return report;
        }
        let found = match self.maps.find_text(&format!("{} {}", report.code, report.reason)) {
            Ok(Some(found)) => found,
            Ok(None) => return report,
            Err(error) => {
                log.warning(error.to_string());
                return report;
            }
        };
        let sent = |code: Code| code.verdict() == Verdict::Sent;
        match Code::split(&found) {
            Some((code, reason)) if sent(code) == sent(report.code) => {
                // A code alone leaves the words.
                let reason = if reason.is_empty() { report.reason } else { reason.to_owned() };
                Report { code, reason, ..report }
            }
            _ => {
                log.warning(format!("{}: bad status code: {found}", self.title));
                report
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_change_within_their_kind() {
        let told = |table: &str, code, reason: &str| {
            let filter = Filter::new("t", &format!("regexp:{{{{{table}}}}}"));
            let report = filter.apply(Report::new(code, reason), &Log::nowhere());
            format!("{} {}", report.code, report.reason)
        };
        let failed = Code::new(5, 1, 1);
        assert_eq!(told("/^5(.*)/ 4$1 yet", failed, "no"), "4.1.1 no yet");
        assert_eq!(told("/^5(.*)/ 2$1", failed, "no"), "5.1.1 no");
        assert_eq!(told("/^5(.*)/ later", failed, "no"), "5.1.1 no");
        assert_eq!(told("/^2/ 2.1.0", Code::SENT, "ok"), "2.1.0 ok");
        assert_eq!(told("/^2/ 2.1.5 taken", Code::SENT, "ok"), "2.1.5 taken");
        assert_eq!(told("/^2/ 5.0.0 lost", Code::SENT, "ok"), "2.0.0 ok");
        let none = Filter::new("t", "hash:/no/table");
        assert_eq!(none.apply(Report::new(failed, "no"), &Log::nowhere()).reason, "no");
    }
}
