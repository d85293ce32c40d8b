complete -c pflogsumm -l bounce-detail -d 'show N reasons a relay in the bounce section; 0 leaves the section out' -r
complete -c pflogsumm -s d -d 'report on one day: today or yesterday' -r
complete -c pflogsumm -l deferral-detail -d 'show N reasons in the deferral section; 0 leaves it out' -r
complete -c pflogsumm -l detail -d 'N for every section that has no number of its own' -r
complete -c pflogsumm -s h -d 'show N hosts and domains' -r
complete -c pflogsumm -l reject-detail -d 'show N lines a reason in the reject sections; 0 leaves them out' -r
complete -c pflogsumm -l smtp-detail -d 'show N hosts a failure in the delivery failure section; 0 leaves it out' -r
complete -c pflogsumm -l smtpd-warning-detail -d 'show N warnings a program; 0 leaves the section out' -r
complete -c pflogsumm -l syslog-name -d 'read the lines of this syslog_name beside postfix' -r
complete -c pflogsumm -s u -d 'show N senders and recipients' -r
complete -c pflogsumm -l verp-mung -d 'replace numbers in list senders\' addresses; 2 removes the member, too' -r
complete -c pflogsumm -s e -d 'also list sender and recipients of each message'
complete -c pflogsumm -l help -d 'show the usage'
complete -c pflogsumm -s i -l ignore-case -d 'take whole addresses, not only domains, as lower case'
complete -c pflogsumm -l iso-date-time -d 'write dates as 2026-11-24 and hours as 12:00'
complete -c pflogsumm -l mailq -d 'end with the output of mailq'
complete -c pflogsumm -l no-no-msg-size -d 'leave out the messages whose size is not in the log'
complete -c pflogsumm -l problems-first -d 'begin with the problem sections'
complete -c pflogsumm -s q -d 'no headings for empty sections'
complete -c pflogsumm -l rej-add-from -d 'add the sender to what reject sections list'
complete -c pflogsumm -l smtpd-stats -d 'add statistics of smtpd connections'
complete -c pflogsumm -s m -l uucp-mung -d 'turn host!user@next into next!user@host'
complete -c pflogsumm -l verbose-msg-detail -d 'do not cut reasons short'
complete -c pflogsumm -l version -d 'show the version'
complete -c pflogsumm -l zero-fill -d 'fill the columns of days without rejects with 0'
