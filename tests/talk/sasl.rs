//! A scripted authentication service in Dovecot's manner. It offers what "offer" lines name ("offer PLAIN plaintext") and
//! knows the others as "NAME PASSWORD", or "NAME !WORDS" for what it says to whoever gives that name: the rest of a FAIL
//! line, with blanks for tabs and "_" for blanks; "!close" and "!garbage" as they say, "!nobody" an OK without a name.

use data_encoding::BASE64;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

pub fn serve(listener: UnixListener, script: Vec<(String, String)>, asked: Arc<Mutex<Vec<String>>>) {
    let script = Arc::new(script);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (script, asked) = (script.clone(), asked.clone());
            std::thread::spawn(move || one(stream, &script, &asked));
        }
    });
}

fn one(stream: UnixStream, script: &[(String, String)], asked: &Mutex<Vec<String>>) {
    let mut writer = stream.try_clone().unwrap();
    let mut hello = "VERSION\t1\t2\n".to_owned();
    for (_, offer) in script.iter().filter(|(name, _)| name == "offer") {
        hello.push_str(&format!("MECH\t{}\n", offer.replace(' ', "\t")));
    }
    hello.push_str("SPID\t1\nCUID\t1\nCOOKIE\tabc\nDONE\n");
    writer.write_all(hello.as_bytes()).unwrap();
    let mut talks: HashMap<String, (String, Vec<String>)> = HashMap::new();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split('\t').collect();
        let (id, response) = match words.as_slice() {
            ["AUTH", id, mechanism, rest @ ..] => {
                // Which number a conversation has is the client's own affair.
                asked.lock().unwrap().push(format!("% AUTH {mechanism} {}", rest.join(" ")));
                talks.insert((*id).to_owned(), ((*mechanism).to_owned(), Vec::new()));
                (*id, rest.iter().find_map(|word| word.strip_prefix("resp=")))
            }
            ["CONT", id, response] => {
                asked.lock().unwrap().push(format!("% CONT {response}"));
                (*id, Some(*response))
            }
            _ => continue,
        };
        let (mechanism, heard) = talks.get_mut(id).unwrap();
        heard.extend(response.map(str::to_owned));
        let decoded =
            |text: &String| String::from_utf8_lossy(&BASE64.decode(text.as_bytes()).unwrap_or_default()).into_owned();
        let pair = match (mechanism.as_str(), heard.as_slice()) {
            ("PLAIN", [one]) => {
                let one = decoded(one);
                let mut parts = one.split('\0').skip(1).map(str::to_owned);
                Ok((parts.next().unwrap_or_default(), parts.next().unwrap_or_default()))
            }
            ("LOGIN", [name, password]) => Ok((decoded(name), decoded(password))),
            ("PLAIN", _) => Err(""),
            ("LOGIN", []) => Err("Username:"),
            ("LOGIN", _) => Err("Password:"),
            _ => Err("<1.2@srvdmz>"),
        };
        let answer = match pair {
            Err(challenge) => format!("CONT\t{id}\t{}\n", BASE64.encode(challenge.as_bytes())),
            Ok((name, password)) => {
                let known = script.iter().find(|(own, _)| *own == name).map_or("", |(_, known)| known);
                match known.strip_prefix('!') {
                    Some("close") => return,
                    Some("garbage") => format!("{}\n", "x".repeat(20_000)),
                    Some("nobody") => format!("OK\t{id}\n"),
                    Some(words) => format!("FAIL\t{id}\tuser={name}\t{}\n", words.replace(' ', "\t").replace('_', " ")),
                    None if !password.is_empty() && known == password => format!("OK\t{id}\tuser={name}\n"),
                    None if name.is_empty() => format!("FAIL\t{id}\n"),
                    None => format!("FAIL\t{id}\tuser={name}\n"),
                }
            }
        };
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
