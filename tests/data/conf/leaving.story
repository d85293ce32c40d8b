# Leaving Berkeley DB, as Postfix 3.11 has it. Only root may.
n='postfix non-bdb'; echo "$S" >c/master.cf; o 'default_database_type=lmdb\nvirtual_alias_maps=hash:/proc/nowhere/m' sh -c "$n status; $n enable-redirect; $n status; postconf -n non_bdb_migration_level; $n disable; $n status"
n='postfix non-bdb'; o "default_database_type=lmdb\nvirtual_alias_maps=hash:$PWD/m\nalias_maps=btree:$PWD/al\nalias_database=\$alias_maps" sh -c "$n enable-reindex; ls m.* al.*; postmap -s hash:m | wc -l; postalias -q root btree:al"; rm -f m.* al.*
o '' postfix non-bdb enable-redirect
o '' postfix non-bdb
