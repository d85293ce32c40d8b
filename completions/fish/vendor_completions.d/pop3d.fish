complete -c pop3d -s c -l config -d 'read this file instead of /etc/dovecot/dovecot.conf' -r -F
complete -c pop3d -l role -r
complete -c pop3d -l listeners -r
complete -c pop3d -s F -d 'stay in the foreground (it always does; for Dovecot\'s command lines)'
complete -c pop3d -l check-config -d 'read the configuration, say what is not honoured, and end'
