complete -c postqueue -s c -d 'the configuration directory' -r
complete -c postqueue -s i -d 'try to deliver this message now' -r
complete -c postqueue -s s -d 'try to deliver the mail for this site' -r
complete -c postqueue -s f -d 'flush: try to deliver all queued mail'
complete -c postqueue -s j -d 'list the queue, one JSON object a line'
complete -c postqueue -s p -d 'list the queue as mailq does'
complete -c postqueue -s v -d 'be verbose'
