//! Dates as mail writes them. ASCII and English whatever the locale; the zone is the local one.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::SystemTime;

/// RFC 5322 with the zone's name as a comment: "Tue, 24 Nov 2026 12:59:31 +0000 (UTC)".
pub fn rfc5322(time: SystemTime) -> String {
    local(time).strftime("%a, %e %b %Y %H:%M:%S %z (%Z)").to_string().replacen(",  ", ", ", 1)
}

/// The date of a mailbox's From_ line, as ctime(3): "Tue Nov 24 12:59:31 2026".
pub fn ctime(time: SystemTime) -> String {
    local(time).strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// "20261124125931", in UTC: the start of a Message-Id.
pub fn compact(time: SystemTime) -> String {
    zoned(time, TimeZone::UTC).strftime("%Y%m%d%H%M%S").to_string()
}

fn local(time: SystemTime) -> jiff::Zoned {
    zoned(time, TimeZone::system())
}

fn zoned(time: SystemTime, zone: TimeZone) -> jiff::Zoned {
    Timestamp::try_from(time).unwrap_or_default().to_zoned(zone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_shapes() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_525_171);
        assert_eq!(compact(time), "20261124125931");
        let date = rfc5322(time);
        assert!(date.starts_with("Tue, 24 Nov 2026 ") && date.ends_with(')'), "{date}");
        assert!(ctime(time).starts_with("Tue Nov 24 "));
    }
}
