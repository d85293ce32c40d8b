//! What each command does, in a few words: `?` looks here for a word that is no command's name.

/// Name and what it does; several names of one command stand by themselves.
const ABOUT: &[(&str, &str)] = &[
    ("alias", "give a name to addresses, or list the names"),
    ("alternates", "other addresses of yours, which replies leave out"),
    ("Copy", "copy messages into a file named after the sender"),
    ("cd", "change the working directory"),
    ("copy", "copy messages into a folder, without marking them saved"),
    ("decode", "show the parts of a message, decoded"),
    ("delete", "remove messages when the mailbox is left"),
    ("discard", "hide header fields"),
    ("dp", "remove the message and show the next one"),
    ("echo", "print words, variables of the environment put in"),
    ("edit", "look at messages in the line editor"),
    ("envelope", "show the sender and the time of arrival"),
    ("exit", "leave, with the mailbox as it was"),
    ("file", "open another folder, or say which one is open"),
    ("folders", "list the directory of folders"),
    ("Followup", "answer the senders, and record the answer"),
    ("followup", "answer everybody, and record the answer"),
    ("from", "list messages, one line each"),
    ("headers", "list a screenful of messages"),
    ("hold", "keep messages in the mailbox though they were read"),
    ("if", "run the following commands when sending, receiving or at a terminal"),
    ("ignore", "hide header fields"),
    ("incorporate", "look for mail that has arrived"),
    ("list", "list the names of the commands"),
    ("mail", "write a letter"),
    ("mbox", "move messages to your mbox when leaving"),
    ("next", "show the next message"),
    ("Print", "show messages with all header fields"),
    ("pipe", "give messages to a program"),
    ("previous", "show the message before"),
    ("print", "show messages"),
    ("quit", "leave, and keep what was done"),
    ("Reply", "answer the senders only"),
    ("raw", "show messages byte for byte, controls and all"),
    ("reply", "answer the sender and all recipients"),
    ("retain", "show these header fields only"),
    ("Save", "save messages in a file named after the sender"),
    ("save", "save messages in a folder"),
    ("sendheader", "a header line for every letter you write"),
    ("set", "set variables, or list them"),
    ("setenv", "set a variable of the environment"),
    ("shell", "run a program"),
    ("size", "show lines and bytes of messages"),
    ("source", "run the commands of a file"),
    ("struct", "list the parts and attachments of a message"),
    ("summary", "count the messages"),
    ("tag", "mark messages for the list :t"),
    ("top", "show the first lines of messages"),
    ("touch", "move messages to your mbox as if they were read"),
    ("undelete", "take a deletion back"),
    ("unread", "mark messages as not read"),
    ("untag", "take the marks of tag off"),
    ("unfold", "show these header fields in one line"),
    ("variable", "explain variables"),
    ("visual", "look at messages in the screen editor"),
    ("Write", "write texts into a file named after the sender"),
    ("write", "write texts or attachments into a file"),
    ("z", "scroll through the list of messages"),
    ("!", "run a shell command"),
    ("=", "show the number of the current message"),
];

/// Commands that have to do with a word: their names and what they do.
pub fn search(word: &str) -> Vec<(&'static str, &'static str)> {
    let word = word.to_lowercase();
    // Letters alone are abbreviations that mean no command.
    if word.chars().count() < 4 {
        return Vec::new();
    }
    let has = |text: &str| text.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|one| one.starts_with(&word));
    ABOUT.iter().filter(|(name, about)| has(name) || has(about)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_command_and_words_find_them() {
        for (name, _) in ABOUT {
            assert!(super::super::command::COMMANDS.iter().any(|command| command.name == *name), "{name}");
        }
        assert!(search("attachment").iter().any(|(name, _)| *name == "write"));
        assert!(search("nosuch").is_empty() && search("un").is_empty());
    }
}
