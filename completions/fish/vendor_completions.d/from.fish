complete -c from -s s -l sender -d 'senders that hold this text only' -r
complete -c from -s f -l file -d 'this mailbox' -r
complete -c from -s c -l count -d 'count the messages'
