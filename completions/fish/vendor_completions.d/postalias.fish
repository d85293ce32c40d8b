complete -c postalias -s c -d 'read main.cf there' -r
complete -c postalias -s d -d 'delete the key; - reads keys from standard input' -r
complete -c postalias -s q -d 'print the value of the key; - reads keys from standard input' -r
complete -c postalias -s s -d 'list all entries'
complete -c postalias -s i -d 'add entries from standard input to the table as it is'
complete -c postalias -s j -d 'with -q and -s: each key and its value as an object of JSON, one a line'
complete -c postalias -s r -d 'replace entries that are there already'
complete -c postalias -s w -d 'no warning about entries that are there already'
complete -c postalias -s f -d 'keep the case of keys'
complete -c postalias -s n -d 'keys and values without a null byte at the end'
complete -c postalias -s N -d 'keys and values with a null byte at the end'
complete -c postalias -s o -d 'root\'s new file stays root\'s when the source is another\'s'
complete -c postalias -s p -d 'the new file does not take over the source\'s permissions'
complete -c postalias -s u -d 'no UTF-8 in keys'
complete -c postalias -s v -d 'say more'
