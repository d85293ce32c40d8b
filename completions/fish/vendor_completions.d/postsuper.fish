complete -c postsuper -s c -d 'the configuration directory' -r
complete -c postsuper -s d -d 'delete messages' -r
complete -c postsuper -s e -d 'expire messages: at the next attempt they go back to their senders' -r
complete -c postsuper -s f -d 'expire messages, and release those that are on hold' -r
complete -c postsuper -s h -d 'put messages on hold' -r
complete -c postsuper -s H -d 'release messages that are on hold' -r
complete -c postsuper -s r -d 'requeue messages: addresses are rewritten anew' -r
complete -c postsuper -s p -d 'remove temporary files that a crash left'
complete -c postsuper -s s -d 'put files where they belong, under the name that their inode gives them'
complete -c postsuper -s S -d 'the same as -s'
complete -c postsuper -s v -d 'be verbose'
