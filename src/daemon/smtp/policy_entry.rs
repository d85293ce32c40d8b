//! An entry of smtp_tls_policy_maps: "secure match=.example.org:example.net ciphers=high". A mistake in it is named, and
//! never read as less than was meant.

use super::policy::Level;

/// What an entry of the policy table says beside the level.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub protocols: Option<String>,
    pub grade: Option<String>,
    pub excluded: Option<String>,
    pub servername: Option<String>,
    pub matches: Option<Vec<String>>,
    pub anchors: Vec<String>,
    /// What has no effect: all attributes of "none", and connections are not kept.
    pub unused: Vec<String>,
}

/// Reads an entry: "secure match=.example.org:example.net ciphers=high". The error says what is wrong.
pub fn read(text: &str) -> Result<(Level, Attributes), String> {
    let mut given = words(text, "").into_iter();
    let level = given.next().ok_or("invalid empty policy")?;
    let level = Level::parse(&level).ok_or_else(|| format!("invalid security level \"{level}\""))?;
    let mut own = Attributes::default();
    if level == Level::None {
        own.unused = given.collect();
        return Ok((level, own));
    }
    for word in given {
        let Some((name, value)) = word.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let what =
                if word.starts_with('=') { "missing attribute name" } else { "missing '=' after attribute name" };
            return Err(format!("malformed attribute/value pair \"{word}\": {what}"));
        };
        let lower = name.to_ascii_lowercase();
        let once = |slot: &mut Option<String>| match slot.replace(value.to_owned()) {
            None => Ok(()),
            Some(_) => Err(format!("attribute \"{name}\" is specified multiple times")),
        };
        if value.is_empty() && matches!(lower.as_str(), "ciphers" | "match" | "tafile") {
            return Err(format!("attribute \"{name}\" has empty value"));
        }
        let misplaced = || Err(format!("attribute \"{name}\" invalid at security level \"{}\"", level.name()));
        match lower.as_str() {
            "ciphers" => once(&mut own.grade)?,
            "protocols" => once(&mut own.protocols)?,
            "exclude" => once(&mut own.excluded)?,
            "servername" if !is_hostname(value) => return Err(format!("\"{word}\" specifies an invalid hostname")),
            "servername" => once(&mut own.servername)?,
            "match" => {
                let separator = match level {
                    Level::Fingerprint => '|',
                    Level::Verify | Level::Secure => ':',
                    _ => return misplaced(),
                };
                let names = value.split(separator).filter(|name| !name.is_empty()).map(str::to_owned);
                own.matches.get_or_insert_default().extend(names);
            }
            "tafile" if !matches!(level, Level::Verify | Level::Secure) => return misplaced(),
            "tafile" => own.anchors.push(value.to_owned()),
            "connection_reuse" if value.eq_ignore_ascii_case("yes") => own.unused.push(word.clone()),
            "connection_reuse" if value.eq_ignore_ascii_case("no") => {}
            "connection_reuse" => return Err(format!("attribute \"{name}\" has bad value: \"{value}\"")),
            _ => return Err(format!("invalid attribute name: \"{name}\"")),
        }
    }
    Ok((level, own))
}

/// The words of a list; `more` separates too.
pub fn words(list: &str, more: &str) -> Vec<String> {
    let separates = |c: char| c.is_ascii_whitespace() || c == ',' || more.contains(c);
    list.split(separates).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A name of labels, without brackets and port. Addresses are names here too, as in the reference's test.
pub fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    text.len() <= 255 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_in_an_entry_are_named() {
        let wrong = |text| read(text).unwrap_err();
        assert_eq!(wrong(""), "invalid empty policy");
        assert_eq!(wrong("high"), "invalid security level \"high\"");
        assert_eq!(
            wrong("may ciphers"),
            "malformed attribute/value pair \"ciphers\": missing '=' after attribute name"
        );
        assert_eq!(wrong("may ciphers=high,ciphers=low"), "attribute \"ciphers\" is specified multiple times");
        assert_eq!(wrong("secure match="), "attribute \"match\" has empty value");
        assert_eq!(wrong("encrypt tafile=/x"), "attribute \"tafile\" invalid at security level \"encrypt\"");
        assert_eq!(wrong("may servername=!!"), "\"servername=!!\" specifies an invalid hostname");
        assert_eq!(read("none ciphers=high").unwrap().1.unused, ["ciphers=high"]);
        assert_eq!(read("may connection_reuse=yes").unwrap().1.unused, ["connection_reuse=yes"]);
        assert_eq!(wrong("may connection_reuse=maybe"), "attribute \"connection_reuse\" has bad value: \"maybe\"");
    }
}
