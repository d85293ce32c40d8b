complete -c postlock -s c -d 'the configuration directory' -r
complete -c postlock -s l -d 'flock, fcntl, dotlock; mailbox_delivery_lock by default' -r
complete -c postlock -s v -d 'be verbose'
