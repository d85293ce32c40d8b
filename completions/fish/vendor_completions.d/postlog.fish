complete -c postlog -s c -d 'the configuration directory' -r
complete -c postlog -s p -d 'info (default), warn, error, fatal or panic' -r
complete -c postlog -s t -d 'the program\'s name in the line' -r
complete -c postlog -s i -d 'with the process id (always so here)'
complete -c postlog -s v -d 'be verbose'
