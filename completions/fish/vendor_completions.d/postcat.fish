complete -c postcat -s c -d 'the configuration directory' -r
complete -c postcat -s s -d 'skip to this offset' -r
complete -c postcat -s b -d 'show the body'
complete -c postcat -s d -d 'show record types in decimal'
complete -c postcat -s e -d 'show the envelope'
complete -c postcat -s h -d 'show the headers'
complete -c postcat -s o -d 'show the offset of each record'
complete -c postcat -s q -d 'the arguments are queue ids'
complete -c postcat -s r -d 'records in the order of the file'
complete -c postcat -s v -d 'show every record with its name, pointers and padding too'
