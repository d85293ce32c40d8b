complete -c postsuper -s c -d 'the configuration directory' -r
complete -c postsuper -s d -d 'delete messages' -r
complete -c postsuper -s h -d 'put messages on hold' -r
complete -c postsuper -s H -d 'release messages that are on hold' -r
complete -c postsuper -s r -d 'requeue messages: addresses are rewritten anew' -r
complete -c postsuper -s p -d 'remove temporary files that a crash left'
complete -c postsuper -s s -d 'check the structure of the queue and mend it'
complete -c postsuper -s S -d 'rename files whose name does not match their inode'
complete -c postsuper -s v -d 'be verbose'
