complete -c postmap -s c -d 'read main.cf there' -r
complete -c postmap -s d -d 'delete the key; - reads keys from standard input' -r
complete -c postmap -s q -d 'print the value of the key; - reads keys from standard input' -r
complete -c postmap -s s -d 'list all entries'
complete -c postmap -s i -d 'add entries from standard input to the table as it is'
complete -c postmap -s r -d 'replace entries that are there already'
complete -c postmap -s w -d 'no warning about entries that are there already'
complete -c postmap -s f -d 'keep the case of keys'
complete -c postmap -s n -d 'keys and values without a null byte at the end'
complete -c postmap -s N -d 'keys and values with a null byte at the end'
complete -c postmap -s o -d 'root\'s new file stays root\'s when the source is another\'s'
complete -c postmap -s p -d 'the new file does not take over the source\'s permissions'
complete -c postmap -s u -d 'no UTF-8 in keys'
complete -c postmap -s v -d 'say more'
complete -c postmap -s b -d 'with -q -: standard input is a message; each body line is a key'
complete -c postmap -s h -d 'with -q -: standard input is a message; each header is a key'
complete -c postmap -s m -d 'with -b or -h: look into MIME parts'
complete -c postmap -s F -d 'values are names of files whose content is stored, in base64'
complete -c postmap -s U -d 'with -b and -h: keys are UTF-8, where smtputf8_enable allows it'
