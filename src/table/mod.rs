//! Lookup tables: "type:name" in main.cf. "Not there" and "could not ask" are different answers everywhere here.

/// The aliases file as a source.
pub mod alias_source;
/// Berkeley DB files (hash, btree) without Berkeley DB.
pub mod bdb;
/// cdb: constant databases.
pub mod cdb;
/// cidr: address patterns.
pub mod cidr;
/// unionmap, pipemap, randmap: tables made of tables.
pub mod compose;
/// debug: what is asked of a table, in the log.
pub mod debug;
/// The entries of a table that is being built: collecting them.
pub mod entries;
/// Values that name files (postmap -F).
pub mod files_as_values;
/// static, environ, fail: tables without a file.
pub mod fixed;
/// hash:, btree:, lmdb: and cdb: as tables.
pub mod indexed;
/// Lookups that wait for a server, off the thread that needs them.
pub mod later;
/// ldap: directories.
#[cfg(feature = "netdb")]
pub mod ldap;
/// The entries of a table that is being built: some of them in memory.
pub mod listing;
/// lmdb: files of LMDB without LMDB.
pub mod lmdb;
/// Many keys, and their values, at a time.
pub mod many;
/// A list of tables, searched in order, and addresses in it.
pub mod maps;
/// Lists of patterns: mydestination, mynetworks, relay_domains.
pub mod matchlist;
/// memcache: memcached's text protocol.
pub mod memcache;
/// inline: and texthash: tables in memory.
pub mod memory;
/// mysql: MySQL and MariaDB.
#[cfg(feature = "netdb")]
pub mod mysql;
/// The trait, the types, opening.
pub mod open;
/// What regexp and pcre tables share.
pub mod pattern;
/// pcre: Perl's patterns.
pub mod pcre;
/// pgsql: PostgreSQL.
#[cfg(feature = "netdb")]
pub mod pgsql;
/// What tables know of the process that they are in.
pub mod process;
/// What database tables share: parameters, queries, answers.
pub mod query;
/// Building table files.
pub mod rebuild;
/// regexp: POSIX patterns.
pub mod regexp;
/// The if/endif structure and the results of pattern tables.
pub mod rules;
/// A table of a list, opened when it can be.
pub mod slot;
/// socketmap: netstrings to a server.
pub mod socketmap;
/// Source text: logical lines, keys and values.
pub mod source;
/// What pgsql and mysql share: servers, questions, answers.
#[cfg(feature = "netdb")]
pub mod sql;
/// sqlite: a query a lookup.
pub mod sqlite;
/// Sockets with deadlines and limits.
pub mod stream;
/// tcp: a line to a server.
pub mod tcp;
/// What a decision looked at.
pub mod trace;
/// unix: the passwd and group files.
pub mod unix;
/// A stretch of a file, read in one go.
mod window;
/// A thread for a database's client.
#[cfg(feature = "netdb")]
pub mod worker;

pub use maps::Maps;
pub use matchlist::MatchList;
pub use open::{Options, TYPES, Table, TableError, TableType, Value, open};
