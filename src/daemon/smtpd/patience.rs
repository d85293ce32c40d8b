//! Lookups that may wait for a server, made so that other sessions go on meanwhile.

use crate::table::TableError;
use crate::table::later::{Answers, attempt};

/// What `work` comes to; it only looks things up, and may be run more than once.
pub async fn patiently<T>(work: impl Fn() -> T) -> T {
    let mut answers = Answers::default();
    loop {
        match attempt(&mut answers, &work) {
            Ok(done) => return done,
            Err(question) => {
                let asked = question.clone();
                let answer = match tokio::task::spawn_blocking(move || asked.ask()).await {
                    Ok(answer) => answer,
                    Err(_) => Err(TableError::new("", "the lookup was broken off")),
                };
                answers.learn(&question, answer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Maps;
    use crate::table::open::Options;
    use std::io::{BufRead, BufReader, Write};
    use std::time::{Duration, Instant};

    #[test]
    fn a_slow_server_holds_up_its_own_session_only() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while let Some(Ok(_)) = lines.next() {
                std::thread::sleep(Duration::from_millis(500));
                stream.write_all(b"200 OK\n").unwrap();
            }
        });
        let maps = Maps::open("check", &format!("tcp:127.0.0.1:{port}"), &Options::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let begin = Instant::now();
        let (found, others) = runtime.block_on(async {
            tokio::join!(patiently(|| maps.find(b"key")), async {
                for _ in 0..10 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                begin.elapsed()
            })
        });
        assert_eq!(found.unwrap(), Some(b"OK".to_vec()));
        assert!(others < Duration::from_millis(400), "{others:?}");
    }
}
