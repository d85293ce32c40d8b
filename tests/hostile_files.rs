//! Files that somebody damaged on purpose: a corpus of good files and thousands of mutations of them, through the code
//! that the fuzz targets (fuzz/) run. Each must be an error or an answer, soon and in bounded memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../fuzz/src/lib.rs"]
mod hostile;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const MUTATIONS: u64 = 400;

/// A small generator: the same mutations in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

/// A copy with a few bytes, numbers, or whole pieces changed, doubled or cut.
fn mutated(good: &[u8], seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut bad = good.to_vec();
    for _ in 0..=dice.roll(8) {
        if bad.is_empty() {
            break;
        }
        let at = dice.roll(bad.len());
        // Most of what matters stands at the beginning of the file or of a page.
        let at = match dice.roll(4) {
            0 => at % 512,
            1 => (at / 4096 * 4096 + dice.roll(64)).min(bad.len() - 1),
            _ => at,
        }
        .min(bad.len() - 1);
        match dice.roll(7) {
            0 => bad[at] = dice.roll(256) as u8,
            1 => bad[at] ^= 1 << dice.roll(8),
            2 => {
                let numbers = [0u32, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX, bad.len() as u32, at as u32];
                let number = numbers[dice.roll(numbers.len())].to_le_bytes();
                let end = (at + 4).min(bad.len());
                bad[at..end].copy_from_slice(&number[..end - at]);
            }
            3 => bad.truncate(at),
            4 => {
                let piece = bad[at..(at + dice.roll(300)).min(bad.len())].to_vec();
                let to = dice.roll(bad.len());
                bad.splice(to..to, piece);
            }
            5 => bad.extend(std::iter::repeat_n(dice.roll(256) as u8, dice.roll(5000))),
            _ => {
                let end = (at + dice.roll(64)).min(bad.len());
                bad[at..end].fill(dice.roll(256) as u8);
            }
        }
    }
    bad
}

fn try_all(what: &str, good: &[u8], work: impl Fn(&[u8])) {
    for seed in 1..=MUTATIONS {
        let bad = mutated(good, seed);
        let begin = Instant::now();
        work(&bad);
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}: mutation {seed} took {:?}", begin.elapsed());
    }
}

/// `longest`: of a key.
fn source(longest: usize) -> String {
    let mut text: String = (0..1500).map(|number| format!("key{number}\tvalue {number}\n")).collect();
    text.push_str(&format!("{}\t{}\n", "k".repeat(longest), "v".repeat(30_000)));
    text
}

/// A file that postmap built.
fn built(place: &Path, kind: &str, suffix: &str) -> Vec<u8> {
    let name = place.join("good");
    std::fs::write(&name, source(if kind == "lmdb" { 500 } else { 8000 })).unwrap();
    std::fs::write(
        place.join("main.cf"),
        "compatibility_level = 3.6\nmail_owner = daemon\nsetgid_group = mail\nmyhostname = h.example.org\n",
    )
    .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pillarbox"));
    command.args(["postmap", "-c"]).arg(place).arg(format!("{kind}:{}", name.display()));
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    std::fs::read(name.with_extension(suffix)).unwrap()
}

#[test]
fn hostile_hash_files() {
    indexed("hash", "db");
}

#[test]
fn hostile_btree_files() {
    indexed("btree", "db");
}

#[test]
fn hostile_cdb_files() {
    indexed("cdb", "cdb");
}

#[test]
fn hostile_lmdb_files() {
    indexed("lmdb", "lmdb");
}

fn indexed(kind: &str, suffix: &str) {
    let place = tempfile::tempdir().unwrap();
    let good = built(place.path(), kind, suffix);
    hostile::table(place.path(), kind, suffix, &good);
    try_all(kind, &good, |bad| hostile::table(place.path(), kind, suffix, bad));
}

#[test]
fn hostile_text_tables() {
    let place = tempfile::tempdir().unwrap();
    let patterns = "/^(.*)@(.*)$/ $2 $1\nif !/x/\n/a[b-d]+(e|f)?/i ${1}y\nendif\n10.0.0.0/8 in\n2001:db8::/32 six\n\
        if 10.1.0.0/16\n!10.1.2.3 not\nendif\nkey value\n  continued\n# comment\n\"quoted key\" value\n";
    for kind in ["regexp", "pcre", "cidr", "texthash"] {
        try_all(kind, patterns.as_bytes(), |bad| hostile::table(place.path(), kind, "", bad));
    }
}

#[test]
fn a_hostile_main_cf() {
    let good = "a = $b ${c?{x}:{y}} ${{$compatibility_level} <level {3.6} ? {old} : {new}}\nb = $c$c$c\nc = $d$d$d\n\
        d = $$ ${e:f} $(g)\nmydestination = $myhostname,\n  localhost\nloop = $loop\nmynetworks = 127.0.0.0/8\n";
    try_all("main.cf", good.as_bytes(), hostile::main_cf);
}

#[test]
fn a_hostile_header() {
    let good = "From: \"Doe, John\" <@x:john@doe.example>, =?utf-8?q?=C3=89lo=C3=AFse?= <e@[IPv6:::1]> (a (b) c)\n\
        To: team: a . b@ c, \"a b\"@c, \"x\"@y;, <z>,\n\tundisclosed: ;\nSubject: =?x?b?w6k=?= =?y?Q?a_b=2c?=\n  c\n\
        Date: Tue, 24 Nov 2026 10:05:15 -0330 (x)\nReply-To: a\\b@c, <d e@f>, g@h <i@j> k\n\nFrom x\n";
    try_all("header", good.as_bytes(), hostile::header);
}
