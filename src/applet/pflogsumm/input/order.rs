//! `--in-order`: rotated logs in the order of the times that they begin at, whatever their names are. A file is looked
//! into only as far as its first line with a stamp; one without keeps its place among its neighbours' times.

use super::open;
use crate::applet::pflogsumm::fields::without_priority;
use crate::log::line::{Line, Stamp};
use std::ffi::OsString;
use std::io::Read;

/// How much of a file is looked at.
const BEGINNING: u64 = 256 * 1024;

/// The names, sorted. `at` is the time of a stamp.
pub fn in_order(names: &[OsString], at: impl Fn(Stamp) -> i64) -> Vec<OsString> {
    let mut last = i64::MIN;
    let mut list: Vec<(i64, &OsString)> = Vec::new();
    for name in names {
        // Standard input can be read only once.
        let stamp = if name == "-" { None } else { first_stamp(name) };
        last = stamp.map_or(last, &at);
        list.push((last, name));
    }
    list.sort_by_key(|(time, _)| *time);
    list.into_iter().map(|(_, name)| name.clone()).collect()
}

fn first_stamp(name: &OsString) -> Option<Stamp> {
    let mut text = Vec::new();
    // What can be read of a damaged file is enough here; reading it tells of the damage.
    let _ = open(name).ok()?.take(BEGINNING).read_to_end(&mut text);
    text.split(|&byte| byte == b'\n').find_map(|line| Some(Line::parse(without_priority(line))?.stamp))
}
