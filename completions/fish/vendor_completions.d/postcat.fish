complete -c postcat -s c -d 'the configuration directory' -r
complete -c postcat -s s -d 'skip to this offset' -r
complete -c postcat -s b -d 'show the body'
complete -c postcat -s d -d 'show record types in decimal'
complete -c postcat -s e -d 'show the envelope'
complete -c postcat -s f -d 'show the file after its end too; without effect here'
complete -c postcat -s h -d 'show the headers'
complete -c postcat -s o -d 'show the offset of each record'
complete -c postcat -s q -d 'the arguments are queue ids'
complete -c postcat -s r -d 'show records in file order, pointers not followed'
complete -c postcat -s v -d 'be verbose'
