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
complete -c pflogsumm -l compat -d 'whose report: 1.1.5 or 1.3' -r
complete -c pflogsumm -l parquet -d 'write each event as a row of Parquet files in DIR/date=DATE/host=HOST' -r
complete -c pflogsumm -l html -d 'write a page with charts and tables, which needs no network; - is standard output' -r
complete -c pflogsumm -l trace -d 'tell the life of a message: a queue id, a message id or an address' -r
complete -c pflogsumm -l from -d 'leave out what is older: 2026-11-24, "2026-11-24 12:00", 12:00, today, yesterday' -r
complete -c pflogsumm -l to -d 'leave out what is as old or newer' -r
complete -c pflogsumm -l last -d 'only the last 30m, 24h, 7d or 2w' -r
complete -c pflogsumm -l state -d 'keep the messages under way from run to run' -r
complete -c pflogsumm -l partial -d 'write what these logs say for a later --merge; - is standard output' -r
complete -c pflogsumm -l threads -d 'read with N threads; else with one for each core' -r
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
complete -c pflogsumm -l accurate -d 'count right what the reference miscounts'
complete -c pflogsumm -l explain-differences -d 'show the lines that --accurate counts differently'
complete -c pflogsumm -l json -d 'write the accurate numbers as JSON'
complete -c pflogsumm -l ndjson -d 'write each event as a line of JSON'
complete -c pflogsumm -l overwrite -d 'let --parquet replace the days and hosts that are there already'
complete -c pflogsumm -l prometheus -d 'write the accurate numbers for a Prometheus textfile collector'
complete -c pflogsumm -l chart -d 'end the accurate report with histograms of hours and days'
complete -c pflogsumm -l follow -d 'watch a growing log, or the journal with --journal; q ends'
complete -c pflogsumm -l in-order -d 'read the files in the order of the times they begin at'
complete -c pflogsumm -l journal -d 'read the mail lines of the systemd journal'
complete -c pflogsumm -l merge -d 'the files are partials; report on all of them'
