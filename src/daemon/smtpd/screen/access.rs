//! postscreen_access_list: who is let through, or refused, whatever the tests would say. A table's answer is a list of the
//! same words. A list that cannot be asked decides nothing: the tests go on to decide.

use crate::conf::MainCf;
use crate::daemon::smtpd::patience::patiently;
use crate::log::Log;
use crate::route::resolve::subdomains;
use crate::table::matchlist::Flavour;
use crate::table::memory::split_items;
use crate::table::{Maps, MatchList, Options};
use std::net::IpAddr;

const NAME: &str = "postscreen_access_list";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Permit,
    Reject,
    Dunno,
}

enum Word {
    Mynetworks,
    Verdict(Verdict),
    /// With its name.
    Table(String, Maps),
    Unknown(String),
}

/// Why a list ends early.
struct Fault {
    cause: Option<String>,
    what: String,
}

impl Fault {
    fn new(what: String) -> Fault {
        Fault { cause: None, what }
    }
}

pub struct AccessList {
    words: Vec<Word>,
    mynetworks: MatchList,
}

impl AccessList {
    pub fn new(cf: &MainCf) -> AccessList {
        let options = Options::default();
        let words = split_items(&cf.postscreen_access_list()).into_iter().map(|word| match word.contains(':') {
            true => Word::Table(word.clone(), Maps::open(NAME, &word, &options)),
            false => plain(&word),
        });
        let flavour = Flavour::Clients { parents: subdomains(cf, "mynetworks") };
        AccessList {
            words: words.collect(),
            mynetworks: MatchList::parse("mynetworks", &cf.mynetworks(), flavour, &options),
        }
    }

    pub async fn verdict(&self, client: IpAddr, log: &Log) -> Verdict {
        match patiently(|| self.decide(client)).await {
            Ok(verdict) => verdict,
            Err(fault) => {
                if let Some(cause) = fault.cause {
                    log.warning(cause);
                }
                log.warning(format!("{} -- ignoring the remainder of this access list", fault.what));
                Verdict::Dunno
            }
        }
    }

    fn decide(&self, client: IpAddr) -> Result<Verdict, Fault> {
        for word in &self.words {
            let found = match word {
                Word::Table(name, table) => {
                    let answer = table.find_text(&client.to_string()).map_err(|error| Fault {
                        cause: Some(error.to_string()),
                        what: format!("{NAME}: {name}: table lookup error"),
                    })?;
                    let Some(answer) = answer else { continue };
                    self.answered(client, name, &answer)?
                }
                word => self.simple(client, word, NAME)?,
            };
            // "dunno" ends the list as the others do.
            if let Some(verdict) = found {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Dunno)
    }

    /// A table's answer names no other table, so it leads on no further.
    fn answered(&self, client: IpAddr, table: &str, answer: &str) -> Result<Option<Verdict>, Fault> {
        for word in split_items(answer) {
            if word.contains(':') {
                return Err(Fault::new(format!("table {table}: lookup result \"{answer}\" is not allowed")));
            }
            if let Some(verdict) = self.simple(client, &plain(&word), table)? {
                return Ok(Some(verdict));
            }
        }
        Ok(None)
    }

    fn simple(&self, client: IpAddr, word: &Word, origin: &str) -> Result<Option<Verdict>, Fault> {
        match word {
            Word::Verdict(verdict) => Ok(Some(*verdict)),
            Word::Mynetworks => match self.mynetworks.contains_client(None, Some(client)) {
                Ok(own) => Ok(own.then_some(Verdict::Permit)),
                Err(error) => Err(Fault {
                    cause: Some(error.to_string()),
                    what: format!("{origin}: {client}: mynetworks lookup error"),
                }),
            },
            Word::Unknown(text) => Err(Fault::new(format!("{origin}: unknown command: {text}"))),
            Word::Table(..) => Ok(None),
        }
    }
}

fn plain(word: &str) -> Word {
    match word.to_ascii_lowercase().as_str() {
        "permit_mynetworks" => Word::Mynetworks,
        "permit" => Word::Verdict(Verdict::Permit),
        "reject" => Word::Verdict(Verdict::Reject),
        "dunno" => Word::Verdict(Verdict::Dunno),
        _ => Word::Unknown(word.to_owned()),
    }
}
