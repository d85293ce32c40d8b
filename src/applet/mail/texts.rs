//! What mail says, in English and in French, in the words that scripts and people know from mailutils. English is the
//! key; "{}" stands for the arguments in their order.

/// The language of the messages.
#[derive(Clone, Copy, Debug)]
pub struct Texts {
    french: bool,
    french_dates: bool,
    /// The terminal's character set holds ASCII only, as far as the locale tells.
    pub ascii: bool,
}

impl Texts {
    /// By LC_ALL, LC_MESSAGES, LANG, and LANGUAGE where a locale is set at all.
    pub fn from_environment() -> Texts {
        let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let category =
            |name: &str| value("LC_ALL").or_else(|| value(name)).or_else(|| value("LANG")).unwrap_or_default();
        let locale = category("LC_MESSAGES");
        let is_french = |locale: &str| locale == "fr" || locale.starts_with("fr_") || locale.starts_with("fr:");
        let characters = category("LC_CTYPE").to_ascii_lowercase();
        let plain = locale.is_empty() || locale == "C" || locale == "POSIX" || locale.starts_with("C.");
        let language = value("LANGUAGE").filter(|_| !plain).unwrap_or(locale);
        Texts {
            french: !plain && is_french(&language),
            french_dates: is_french(&category("LC_TIME")),
            ascii: ["", "c", "posix"].contains(&characters.as_str()),
        }
    }

    /// By the variables `charset` and `decode-fallback`: ASCII shows other characters as octal numbers, or as they are.
    pub fn show_in(&mut self, charset: &str, fallback: &str) {
        self.ascii = match charset.to_ascii_lowercase().as_str() {
            "ascii" | "us-ascii" => fallback != "copy-pass",
            "auto" => Texts::from_environment().ascii,
            _ => false,
        };
    }

    /// Whether days and months have their French names (LC_TIME).
    pub fn has_french_dates(&self) -> bool {
        self.french_dates
    }

    /// The sentence in the user's language.
    pub fn say(&self, english: &str, arguments: &[&str]) -> String {
        let known = FRENCH.iter().find(|(key, _)| self.french && *key == english);
        fill(known.map_or(english, |&(_, french)| french), arguments)
    }

    /// One of two sentences by number; French takes the singular for 0 too.
    pub fn count(&self, number: usize, one: &str, many: &str, arguments: &[&str]) -> String {
        let singular = number == 1 || (self.french && number == 0);
        self.say(if singular { one } else { many }, arguments)
    }

    /// An error of the system.
    pub fn reason(&self, error: &std::io::Error) -> String {
        let english = crate::sys::files::reason(error);
        self.say(&english, &[])
    }
}

fn fill(template: &str, arguments: &[&str]) -> String {
    let mut pieces = template.split("{}");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for (piece, argument) in pieces.zip(arguments.iter().chain(std::iter::repeat(&""))) {
        out.push_str(argument);
        out.push_str(piece);
    }
    out
}

const FRENCH: &[(&str, &str)] = &[
    ("\"{}\": {} message", "\"{}\": {} message"),
    ("\"{}\": {} messages", "\"{}\": {} messages"),
    (" {} new", " {} nouveau"),
    (" {} new ", " {} nouveaux"),
    (" {} unread", " {} non lu"),
    (" {} unread ", " {} non lus"),
    (" {} deleted", " {} effacé"),
    (" {} deleted ", " {} effacés"),
    ("No mail for {}", "Pas de courrier pour {}"),
    ("Cannot open mailbox {}: {}", "Impossible d'ouvrir la boîte aux lettres {}\u{a0}: {}"),
    ("Cannot create mailbox {}: {}", "Impossible de créer la boîte aux lettres {}\u{a0}: {}"),
    ("Cannot open file {}: {}", "Impossible d'ouvrir le fichier {}\u{a0}: {}"),
    ("Cannot open output file {}: {}", "Impossible d'ouvrir le fichier de sortie {}\u{a0}: {}"),
    ("can't open {}: {}", "impossible d'ouvrir {}\u{a0}: {}"),
    ("-f requires at most one command line argument", "-f requiert au moins un argument en ligne de commande"),
    ("{}: not a header line", "{}: n'est pas une ligne d'en-tête"),
    ("Errors parsing message", "Erreurs durant l'analyse du message"),
    ("Requested item not found", "Élément demandé non trouvé"),
    ("No such file or directory", "Aucun fichier ou dossier de ce type"),
    ("Permission denied", "Permission non accordée"),
    ("Is a directory", "est un dossier"),
    ("Not a directory", "N'est pas un dossier"),
    ("No space left on device", "Aucun espace disponible sur le périphérique"),
    ("Read-only file system", "Système de fichiers accessible en lecture seulement"),
    ("Unknown command: {}", "Commande inconnue\u{a0}: {}"),
    ("escape value must be a single character", "la valeur d'échappement doit être un caractère unique"),
    ("unsupported value for {}", "valeur non supporté pour {}"),
    ("Incorrect value for decode-fallback", "Valeur incorrecte pour le décodage de caractères par défaut"),
    ("cannot attach {}: {}", "ne peut attacher {}\u{a0}: {}"),
    ("Bad file descriptor", "Mauvais descripteur de fichier"),
    ("Cannot open mailer: {}", "Impossible d'ouvrir l'agent de courrier sortant\u{a0}: {}"),
    (
        "-a {}: a header line in mailutils and bsd-mailx, a file in s-nail, and this is neither",
        "-a {}\u{a0}: une ligne d'en-tête pour mailutils et bsd-mailx, un fichier pour s-nail, et ce n'est ni l'une ni l'autre",
    ),
    ("invalid return address: {}", "adresse de retour non valide\u{a0}: {}"),
    ("Process exited on signal", "Processus terminé sur réception de signal"),
    ("URL missing required parts", "Des parties requises manquent dans l'URL"),
    ("Cannot create mailer: {}", "Impossible de créer l'agent de courrier sortant\u{a0}: {}"),
    ("Sending data to {} failed: {}", "Échec de l'envoi de données à «\u{a0}{} »\u{a0}: {}"),
    ("{}: unknown attribute", "{}: attribut inconnu"),
    ("Folder contains {}.", "Le répertoire contient {}."),
    ("{} new message", "{} nouveau message"),
    ("{} new messages", "{} nouveaux messages"),
    ("{} unread message", "{} message non lu"),
    ("{} unread messages", "{} messages non lus"),
    ("{} read message", "{} message lu"),
    ("{} read messages", "{} messages lus"),
    ("There is {} message in your incoming mailbox.", "Il y a {} message dans votre boîte aux lettres de réception."),
    (
        "There are {} messages in your incoming mailbox.",
        "Il y a {} messages dans votre boîte aux lettres de réception.",
    ),
    ("Folder contains no messages.", "Le répertoire ne contient aucun message."),
    ("No messages in that folder!", "Aucun message dans ce répertoire\u{a0}!"),
    ("There are messages in that folder.", "Il y a des messages dans ce répertoire."),
    ("Type: {}", "Type\u{a0}: {}"),
    ("Current value: {}", "Valeur actuelle\u{a0}: {}"),
    ("[not set]", "[non défini]"),
    (" [read-only]", " [lecture seule]"),
    ("boolean", "booléen"),
    ("numeric", "numérique"),
    ("string", "chaîne"),
    (" or ", " ou "),
    ("\"|{}\" in: {} no lines out", "\"|{}\" in: {} pas de ligne en sortie"),
    ("chdir({}) failed: {}", "chdir({}) a échoué\u{a0}: {}"),
    ("Encoding={}", "Encodage={}"),
    ("{}: invalid message number", "{}: numéro de message non valide"),
    ("{}: Inappropriate message (has been deleted)", "{}: Message inapproprié (a été détruit)"),
    ("No applicable messages", "Aucun message sujet à application"),
    ("No applicable message", "Pas de message applicable"),
    ("No applicable messages from {{}}", "Aucun message applicable de {{}}"),
    ("No messages satisfy :{}", "Aucun message satisfait :{}"),
    ("Cannot get message {}: {}", "Impossible de lire le message {}\u{a0}: {}"),
    ("range error", "erreur d'intervalle"),
    ("unknown message type", "type de message inconnu"),
    (" near {}", " près de {}"),
    (" near end", " près de la fin"),
    ("No such (sub)part in the message: {}", "Pas de telle (sous-)partie dans le message\u{a0}: {}"),
    ("Bad arguments for the scrolling command", "Arguments erronés pour la commande de défilement"),
    ("On first screenful of messages", "Premier écran rempli de message"),
    ("On last screenful of messages", "Dernier écran rempli de messages"),
    ("New mail has arrived.", "Du courrier est arrivé."),
    ("Saved {} message in {}", "{} message sauvegardé dans {}"),
    ("Saved {} messages in {}", "{} messages sauvegardés dans {}"),
    ("Held {} message in {}", "{} message conservé dans {}"),
    ("Held {} messages in {}", "{} messages conservés dans {}"),
    ("Interrupt", "Interruption"),
    ("(Interrupt -- one more to kill letter)", "(Interruption — une de plus pour avorter le courriel)"),
    ("Null message body; hope that's ok", "Corps du message vide; en espérant que cela soit correct"),
    ("No recipients specified", "Aucun destinataire spécifié"),
    ("Can't reply to multiple messages at once", "Impossible de répondre à plusieurs messages en même temps"),
    ("Cannot parse address `{}': {}", "Impossible d'analyser l'adresse «\u{a0}{}\u{a0}»\u{a0}: {}"),
    ("Empty address list", "Liste d'adresses vide"),
    ("Malformed email address", "Adresse électronique mal formée"),
    ("{}: file does not exist", "{}: le fichier n'existe pas"),
    ("Invalid header: {}", "En-tête invalide\u{a0}: {}"),
    ("unrecognized option '{}'", "option non reconnue «\u{a0}{}\u{a0}»"),
    ("option '{}' requires an argument", "l'option «\u{a0}{}\u{a0}» requiert un argument"),
    ("option '{}' is ambiguous; possibilities:", "l'option «\u{a0}{}\u{a0}» est ambiguë. Les possibilités sont\u{a0}:"),
    ("option '{}' doesn't allow an argument", "l'option «\u{a0}{}\u{a0}» ne prend pas d'argument"),
    ("Message contains:", "Message contenant\u{a0}:"),
    ("(continue)", "(continuer)"),
    ("Interpolating: {}", "Interpolation\u{a0}: {}"),
    ("setting unknown variable {}", "fixe la variable inconnue {}"),
    ("Wrong type for {}", "Mauvais type pour {}"),
    ("Sender address is obtained from the envelope", "Adresse de l'expéditeur récupérée à partir de l'enveloppe"),
    ("No new mail for {}", "Pas de nouveau courrier pour {}"),
    ("Bad number of pages", "Nombre de pages erroné"),
    ("Argument not applicable for z", "Argument non applicable pour z"),
    ("Too many arguments for the scrolling command", "Trop d'arguments pour la commande de défilement"),
    ("conflicting options", "conflit d'options"),
    ("unsupported encoding: {}", "encodage non supporté\u{a0}: {}"),
    ("{}: bad descriptor", "{}: mauvais descripteur"),
    ("Process exited with a non-zero status", "Processus terminé avec un état de sortie non nul"),
    ("Function not implemented", "Fonction non implantée"),
    ("mailboxes on servers are only read", "les boîtes sur un serveur ne sont que lues"),
    ("Cannot execute", "Exécution impossible"),
    ("Malformed or unsupported mailer URL", "URL de l'agent de courrier sortant mal formée ou non supportée"),
    ("Not a valid sender address", "Adresse d'expéditeur pas valable"),
    (
        "Variable sendmail not set: no mailer",
        "La variable «\u{a0}sendmail\u{a0}» n'est pas initialisée\u{a0}: pas d'agent de courrier sortant",
    ),
    (
        "Cannot open output mailbox `{}': {}",
        "Impossible d'ouvrir la boîte aux lettres d'expédition «\u{a0}{}\u{a0}»\u{a0}: {}",
    ),
    (
        "Cannot create output mailbox `{}': {}",
        "Impossible de créer la boîte aux lettres d'expédition «\u{a0}{}\u{a0}»\u{a0}: {}",
    ),
    ("Not a directory", "N'est pas un dossier"),
    ("Conflict with previous locker", "Conflit avec le verrou précédent"),
    ("Cannot read mailbox {}: {}", "Impossible de lire la boîte aux lettres {}\u{a0}: {}"),
    ("Cannot append message to {}: {}", "Impossible d'accoler le message à {}\u{a0}: {}"),
    ("Operation rejected by remote party", "Opération rejetée par l'hôte distant"),
    ("Invalid reply from the remote host", "Réponse invalide de l'hôte distant"),
    ("Name or service not known", "Nom ou service inconnu"),
    ("Connection refused", "Connexion refusée"),
    ("Invalid port or service specification", "Port ou spécification de service non valide"),
    ("mu_stream_getline() failed: {}", "mu_stream_getline() a échoué\u{a0}: {}"),
    ("stray character {}", "caractère isolé {}"),
    ("Operation failed", "L'opération a échoué"),
    ("unknown keyword `{}'", "mot-clé inconnu «\u{a0}{}\u{a0}»"),
    ("unknown keyword: {}", "mot-clé inconnu\u{a0}: {}"),
    ("unexpected value: {}", "valeur inattendue\u{a0}: {}"),
    ("unrecognized locker type: {}", "type de verrouillage non reconnu\u{a0}: {}"),
    ("conversion failed: {}", "échec de conversion\u{a0}: {}"),
    (
        "conversion failed: invalid time specification near {}",
        "échec de conversion\u{a0}: spécification de temps invalide près de {}",
    ),
    ("Invalid argument", "Argument invalide"),
    ("Numerical result out of range", "Le résultat numérique est en dehors de l'intervalle"),
    (
        "retry-timeout is deprecated, please use {} instead",
        "retry-timeout est déprécié, veuillez utiliser {} à la place",
    ),
    ("not a boolean", "pas un booléen"),
    ("applying legacy flag {}, use {} instead", "application du fanion historique {}, utilisez {} à la place"),
    ("ignoring legacy flag {}, use {} instead", "ignore le fanion historique {}, utilisez {} à la place"),
    ("invalid lock flag `{}'", "drapeau de verrou non valide «\u{a0}{}\u{a0}»"),
    ("invalid email address `{}': {}", "adresse de courrier non valide «\u{a0}{}\u{a0}»\u{a0}: {}"),
    ("invalid mailbox type: {}", "type de boîte non valide\u{a0}: {}"),
    ("unknown category: {}", "catégorie inconnue\u{a0}: {}"),
    ("unknown level `{}'", "niveau «\u{a0}{}\u{a0}» inconnu"),
    ("invalid level: {}", "niveau non valide\u{a0}: {}"),
    ("include file or directory does not exist", "le fichier inclus ou le répertoire n'existe pas"),
    ("files are included too deep", "trop de fichiers s'incluent l'un l'autre"),
    ("argument to `include' is not a string", "l'argument de «\u{a0}include\u{a0}» n'est pas une chaîne de caractères"),
    ("argument to `program' is not a string", "l'argument de «\u{a0}program\u{a0}» n'est pas une chaîne de caractères"),
    (
        "ignoring `include': directory argument is allowed only from the top-level configuration file",
        "ignore «\u{a0}include\u{a0}»\u{a0}: l'argument répertoire est uniquement autorisé dans le fichier de \
         configuration racine",
    ),
    (
        "ignoring `program' block: not located in top-level configuration file",
        "ignore le bloc «\u{a0}program\u{a0}»\u{a0}: pas situé dans le fichier de configuration racine",
    ),
    ("opening configuration file {}", "ouverture du fichier de configuration {}"),
    ("configuration file {} doesn't exist", "le fichier de configuration {} n'existe pas"),
    ("cannot open config file `{}': {}", "impossible d'ouvrir le fichier de configuration «\u{a0}{}\u{a0}»\u{a0}: {}"),
    ("{}: not a regular file", "{}: n'est pas un fichier régulier"),
    ("parsing file `{}'", "analyse du fichier «\u{a0}{}\u{a0}»"),
    ("finished parsing file `{}'", "analyse du fichier «\u{a0}{}\u{a0}» terminée"),
    ("errors parsing file {}: {}", "erreurs durant l'analyse du fichier {}\u{a0}: {}"),
    ("~{} requires at least {} argument", "~{} requiert an moins {} argument"),
    ("No attachments", "Pas de pièce jointe"),
    ("Use \"quit\" to quit.", "Utiliser «\u{a0}quit\u{a0}» pour quitter."),
    ("Use \".\" to terminate letter.", "Utilisez «\u{a0}.\u{a0}» pour terminer le courriel."),
    ("{} takes only one argument", "{} prend un seul argument"),
    ("unalias requires at least one argument", "unalias requiert au moins un argument"),
    ("{}: not a regular file or FIFO", "{}: n'est pas un fichier régulier ou une FIFO"),
    ("Unfinished escape", "Échappement non complété"),
    ("Cannot open {}: {}", "Impossible d'ouvrir {}\u{a0}: {}"),
    ("Unknown escape {}", "Échappement inconnu {}"),
    ("No previous file", "Pas de fichier précédent"),
    ("No value set for \"{}\"", "Pas de valeur fournie pour «\u{a0}{}\u{a0}»"),
    ("\"{}\": not a group", "«\u{a0}{}\u{a0}»\u{a0}: n'est pas un groupe"),
    ("else without matching if", "«\u{a0}else\u{a0}» sans «\u{a0}if\u{a0}» concordant"),
    ("endif without matching if", "«\u{a0}endif\u{a0}» sans «\u{a0}if\u{a0}» concordant"),
    ("if requires an argument: s | r | t", "«\u{a0}if\u{a0}» requiert un argument\u{a0}: s | r | t"),
    ("Valid if arguments are: s | r | t", "Arguments valides pour «\u{a0}if\u{a0}» sont\u{a0}: s | r | t"),
    ("source requires a single argument", "source requiert un seul argument"),
    ("cannot send message: {}", "impossible d'expédier le message\u{a0}: {}"),
    ("No fields are currently being retained", "Aucun champ n'a été retenu"),
    ("No fields are currently being unfolded", "Aucun champ n'est déplié"),
    ("No fields are currently being ignored", "Aucun champ n'a été ignoré"),
];

/// Days and months as `%a` and `%b` give them in French.
pub const FRENCH_DAYS: [&str; 7] = ["lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."];
pub const FRENCH_MONTHS: [&str; 12] =
    ["janv.", "févr.", "mars", "avril", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_by_number_and_language() {
        let french = Texts { french: true, french_dates: true, ascii: false };
        let english = Texts { french: false, french_dates: false, ascii: false };
        let held = |texts: Texts, number: usize| {
            texts.count(number, "Held {} message in {}", "Held {} messages in {}", &[&number.to_string(), "/m"])
        };
        assert_eq!(held(english, 0), "Held 0 messages in /m");
        assert_eq!(held(french, 0), "0 message conservé dans /m");
        assert_eq!(held(french, 2), "2 messages conservés dans /m");
    }
}
