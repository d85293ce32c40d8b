complete -c frm -s f -l field -d 'this header field instead of sender and subject' -r
complete -c frm -s s -l status -d 'new, unread, old or read messages only' -r
complete -c frm -s l -l to -d 'recipients too'
complete -c frm -s n -l number -d 'numbers too'
complete -c frm -s Q -l Quiet -d 'no lines'
complete -c frm -s q -l query -d 'say whether there is mail'
complete -c frm -s S -l summary -d 'count the messages'
complete -c frm -s t -l align -d 'subjects under each other'
