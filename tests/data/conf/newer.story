# What came after 3.7. The reference on hand has none of it: these answers are ours.
o '' postmap -q k 'debug:static:{space in name}'
o '' postmap -q a debug:debug:inline:{a=b}
o '' postmap -q a debug:fail:x
o '' postmap -q a debug:
o '' postmap -q a debug:missing_colon
o '' postmap -s 'debug:inline:{a=b, c=d}'
o '' postmap lmdb:f; o '' postmap -js lmdb:f
o '' postmap -jq x1 'inline:{{x1=say "hi" }}'
o '' sh -c 'printf "a\nb\n" | postmap -j -q - inline:{a=1,b=2}'
o '' postmap -j lmdb:f
o '' postalias -j lmdb:al
o '' postalias lmdb:al; o '' postalias -js lmdb:al | grep -v YP_
o 'a=$b\nb="x"' postconf -j a b mail_owner
o '' postconf -nj
export S; o '' sh -c 'printf "%s -o x=y {a b}\n" "$S" >c/master.cf; postconf -jM; postconf -jF; postconf -jP'
o '' postconf -jh mail_owner
o '' postconf -je a=b
o '' postconf -h default_cache_db_type
o 'default_cache_db_type = cdb\nnon_bdb_migration_level = enable-redirect\ndefault_database_type = lmdb' postconf -n
o 'non_bdb_migration_level = enable-redirect\ndefault_database_type = cdb' postmap hash:m; ls m.*; rm -f m.*
o 'non_bdb_migration_level = enable-redirect\ndefault_database_type = cdb' sh -c 'postmap btree:m && ls m.* && postmap -s btree:m | sort | head -n 2'; rm -f m.*
o 'non_bdb_migration_level = enable-redirect' sh -c 'postmap hash:m && ls m.*'; rm -f m.*
