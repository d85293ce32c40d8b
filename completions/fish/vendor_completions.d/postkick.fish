complete -c postkick -s c -d 'the configuration directory' -r
complete -c postkick -s v -d 'be verbose'
