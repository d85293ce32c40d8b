//! The tests before the greeting: whether the client waits for it, and what DNS lists say of it.

use super::results::{Test, Tests};
use super::settings::Action;
use super::sites::Score;
use super::visit::{End, Visit};
use crate::daemon::smtpd::session::escaped;
use crate::daemon::smtpd::stream::{Duplex, Stream};
use crate::log::event::delay_text;
use std::io;

/// As much of an early client's words as is counted.
const MAX_WORDS: usize = 1023;

/// Runs the tests that are due; what ends the visit here, if anything does.
pub async fn run<S: Duplex>(visit: &mut Visit<'_>, stream: &mut Stream<S>) -> Option<End> {
    visit.begin("tests before SMTP handshake");
    let screen = visit.screen;
    let settings = &screen.settings;
    let pregreet = visit.todo.has(Test::Pregreet);
    if let Some(teaser) = settings.teaser.as_ref().filter(|_| pregreet)
        && !visit.say(stream, &format!("220-{teaser}")).await
    {
        return Some(End::HungUp);
    }
    let asks = visit.todo.has(Test::Lists);
    let mut survey =
        asks.then(|| settings.sites.ask(visit.client.ip(), &screen.dns, settings.lists_timeout, &screen.log));
    let deadline = tokio::time::sleep(settings.greet_wait.now(screen.is_stressed()));
    tokio::pin!(deadline);
    // Whether the answer is final.
    let (mut heard, mut listed) = (!pregreet, !asks);
    // Behind a proxy its first words may be here already.
    let mut words = pregreet && !stream.pending().is_empty();
    let mut spoke = false;
    while !(heard && listed) {
        if words {
            (words, spoke, heard) = (false, true, true);
            tell(visit, stream.pending());
            match settings.greet_action {
                Action::Drop => return Some(End::Said("521 5.5.1 Protocol error".to_owned())),
                Action::Enforce => {
                    visit.failed.insert(Test::Pregreet);
                    visit.enforce("550 5.5.1 Protocol error");
                }
                // It is tried again the next time.
                Action::Ignore => {}
            }
            continue;
        }
        tokio::select! {
            () = &mut deadline => break,
            // A client that has spoken is not read from again: its words are for later.
            read = stream.fill(1024), if !heard => match read {
                Ok(true) => words = true,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                Ok(false) | Err(_) => return Some(End::HungUp),
            },
            () = finished(&mut survey), if !listed => {
                listed = true;
                // Lists of good clients make up for the waiting.
                if let Some(survey) = &survey && allows(visit, &survey.score, spoke) {
                    heard = true;
                }
            }
        }
    }
    if pregreet && !spoke && !visit.passed.has(Test::Pregreet) {
        visit.pass(Test::Pregreet, settings.greet_ttl);
    }
    let score = survey.map(|survey| survey.score)?;
    // Lists that did not answer in time count nothing; those that did may be enough.
    if !listed {
        allows(visit, &score, spoke);
    }
    judge(visit, &score)
}

/// Waits for the answers of all lists.
async fn finished(survey: &mut Option<super::sites::Survey<'_>>) {
    match survey {
        Some(survey) => survey.finish().await,
        None => std::future::pending().await,
    }
}

fn tell(visit: &Visit<'_>, words: &[u8]) {
    let words = &words[..words.len().min(MAX_WORDS)];
    let (count, after) = (words.len(), delay_text(visit.elapsed()));
    let mut text = escaped(words);
    text.truncate(100);
    visit.log(format!("PREGREET {count} after {after} from {}: {text}", visit.shown));
}

/// postscreen_dnsbl_allowlist_threshold: whether lists of good clients spare a client the other tests.
fn allows(visit: &mut Visit<'_>, score: &Score, spoke: bool) -> bool {
    let settings = &visit.screen.settings;
    let wanted = settings.lists_allow;
    if wanted >= 0 || visit.has_failed() || spoke || score.total > wanted || score.total >= settings.lists_threshold {
        return false;
    }
    let until = super::cache::now().saturating_add(ttl(visit, score));
    for test in super::results::TESTS.into_iter().filter(|test| *test != Test::Lists) {
        if visit.todo.has(test) {
            visit.passed.insert(test);
        }
        visit.times.set(test, visit.times.of(test).max(until));
    }
    true
}

/// How long the lists' answers hold.
fn ttl(visit: &Visit<'_>, score: &Score) -> u64 {
    let (least, most) = visit.screen.settings.lists_ttl;
    score.ttl.unwrap_or(most).clamp(least, most)
}

fn judge(visit: &mut Visit<'_>, score: &Score) -> Option<End> {
    let settings = &visit.screen.settings;
    if score.total < settings.lists_threshold {
        let ttl = ttl(visit, score);
        visit.pass(Test::Lists, ttl);
        return None;
    }
    visit.log(format!("DNSBL rank {} for {}", score.total, visit.shown));
    let site = score.site.as_ref().map_or("", |(site, _)| site.as_str());
    let words = format!("5.7.1 Service unavailable; client [{}] blocked using {site}", visit.client.ip());
    match settings.lists_action {
        Action::Ignore => None,
        Action::Enforce => {
            visit.failed.insert(Test::Lists);
            visit.enforce(&format!("550 {words}"));
            None
        }
        Action::Drop => {
            visit.failed.insert(Test::Lists);
            Some(End::Said(format!("521 {words}")))
        }
    }
}

/// Whether tests are due that this file runs.
pub fn is_due(todo: Tests) -> bool {
    !todo.and(Tests::early()).is_empty()
}
