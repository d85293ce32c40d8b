complete -c postfix -s c -d 'the configuration directory' -r
complete -c postfix -s D -d 'without effect: there is no debugger to attach'
complete -c postfix -s v -d 'be verbose'
