//! debug:TYPE:NAME: the table TYPE:NAME, with everything that is asked of it in the log (Postfix 3.11).

use super::open::{Opened, Options, Table, TableError, Value, open as open_table};
use super::process;

struct Debug {
    table: Opened,
    name: String,
}

pub fn open(_kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    if name.is_empty() {
        let form = "open dictionary: expecting \"type:name\" form instead of \"debug:\"";
        return Err(TableError::new("debug:", form));
    }
    Ok(Box::new(Debug { table: open_table(name, options)?, name: name.to_owned() }))
}

impl Table for Debug {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let found = self.table.lookup(key);
        let shown = match &found {
            Ok(Some(value)) => String::from_utf8_lossy(value),
            Ok(None) => "not_found".into(),
            Err(_) => "error".into(),
        };
        process::info(&format!("{} lookup: \"{}\" = \"{shown}\"", self.name, String::from_utf8_lossy(key)));
        found
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        let mut ended = true;
        let listed = self.table.entries(&mut |key, value| {
            let (shown, text) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
            process::info(&format!("{} sequence: \"{shown}\" = \"{text}\"", self.name));
            ended = each(key, value);
            ended
        });
        if ended {
            process::info(&format!("{} sequence: found EOF", self.name));
        }
        listed
    }

    fn is_pattern(&self) -> bool {
        self.table.is_pattern()
    }

    fn is_remote(&self) -> bool {
        self.table.is_remote()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_table_answers() {
        let open = |spec: &str| open_table(spec, &Options::default());
        assert_eq!(open("debug:debug:inline:{a=b}").unwrap().lookup(b"a").unwrap(), Some(b"b".to_vec()));
        for (spec, shown) in [("debug:", "debug:"), ("debug:no_colon", "no_colon")] {
            let Err(error) = open(spec) else { panic!("{spec} opens") };
            let said = format!("open dictionary: expecting \"type:name\" form instead of \"{shown}\"");
            assert_eq!(error.reason, said);
        }
    }
}
