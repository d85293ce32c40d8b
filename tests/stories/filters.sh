# Mail filters: those of the network's mail and those of the users', what they refuse, change, hold and put off, and
# what becomes of mail without them.
. /run/box/machine/story.sh
need pflogsumm
perl $M/milter.pl 10101 net </dev/null >/dev/null 2>&1 & NET=$!
perl $M/milter.pl 10102 local </dev/null >/dev/null 2>&1 & LOCAL=$!
for port in 10101 10102; do wait_for "the filter on $port" bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"; done
postconf -e 'smtpd_milters = inet:127.0.0.1:10101' 'non_smtpd_milters = inet:127.0.0.1:10102'
start
net() { printf 'EHLO client\nMAIL FROM:<a@b.example>\nRCPT TO:<%s>\nDATA\nR Subject: %s\\r\\n\\r\\nWords.\\r\\n\n.\nQUIT\n' "$1" "$2" | smtp 25; }

expect "$(net toto 'from the net')" '^250 2.0.0 Ok: queued as'
letter "from a user" toto
for subject in 'from the net' 'from a user'; do wait_for "$subject" in_box toto "^Subject: $subject"; done
same "$(grep ^X-Filter: /var/mail/toto | sort)" $'X-Filter: local\nX-Filter: net'

# Refused at the end of the data; to a user the refusal comes as a notice, which no filter looks at.
expect "$(net toto 'please reject')" '^550 5.7.1 no thanks$'
letter "please reject" toto
wait_for "the refusal" in_box eleve 'no thanks'
expect_not "$(sed '/^$/q' /var/mail/eleve)" '^X-Filter:'
: >/var/mail/eleve
wait_for "an empty queue" queue_empty
expect_not "$(cat /var/mail/toto)" 'please reject'

# Another recipient and another body.
net toto 'a swap' >/dev/null
wait_for "the other recipient" in_box titi '^Subject: a swap'
expect "$(cat /var/mail/titi)" '^Other words\.$'
expect_not "$(cat /var/mail/titi)" '^Words\.$'
expect_not "$(cat /var/mail/toto)" 'a swap'

# On hold until somebody lets it go.
letter "hold this" toto
wait_for "the held mail" logged ': milter-hold: END-OF-MESSAGE from localhost\[127.0.0.1\]: milter triggers HOLD action; from=<eleve@srvdmz.virtualux.fr> to=<toto@srvdmz.virtualux.fr>$'
wait_for "the file" bash -c "[[ -n \$(find $Q/hold -type f) ]]"
postsuper -H ALL 2>/dev/null
postqueue -f
wait_for "the mail" in_box toto '^Subject: hold this'

# What is requeued has been looked at.
letter "hold once more" toto
wait_for "the file" bash -c "[[ -n \$(find $Q/hold -type f) ]]"
: >/var/mail/toto
postsuper -r ALL 2>/dev/null
letter "so that somebody looks" titi
wait_for "the mail" in_box toto '^Subject: hold once more'
same "$(grep -c ^X-Filter: /var/mail/toto)" 1

# Put off: what a user handed in waits where it is.
touch /tmp/later
expect "$(net toto later)" '^451 4.7.1 Service unavailable - try again later$'
letter "later" toto
wait_for "the word" logged 'milter-reject: END-OF-MESSAGE from localhost\[127.0.0.1\]: 4.7.1 Service unavailable - try again later'
[[ -n $(find $Q/maildrop -type f) ]] || fail "nothing in maildrop"
rm /tmp/later
letter "a reminder" toto
wait_for "what was put off" in_box toto '^Subject: later'
wait_for "an empty queue" queue_empty

# Notices, if filters are to look at them.
postconf -e 'internal_mail_filter_classes = bounce'
postfix reload >/dev/null 2>&1
letter "for nobody" nobody-here
wait_for "the notice" in_box eleve '^Subject: Undelivered Mail'
expect "$(sed '/^$/q' /var/mail/eleve)" '^X-Filter: local'
wait_for "an empty queue" queue_empty

# One service without filters, by two ways.
postconf -P 'smtp/inet/smtpd_milters=' 'pickup/unix/receive_override_options=no_milters'
postfix reload >/dev/null 2>&1
: >/var/mail/toto
net toto 'unseen by net' >/dev/null
letter "unseen by local" toto
for name in net local; do wait_for "$name" in_box toto "^Subject: unseen by $name"; done
expect_not "$(cat /var/mail/toto)" '^X-Filter:'
postconf -PX smtp/inet/smtpd_milters pickup/unix/receive_override_options

# Filters that are gone: mail waits outside, unless it may come in without them.
kill $NET $LOCAL
wait $NET $LOCAL 2>/dev/null || true
postfix reload >/dev/null 2>&1
wait_for "the filter's end" bash -c "! (exec 3<>/dev/tcp/127.0.0.1/10101) 2>/dev/null"
expect "$(net toto away)" '^451 4.7.1 Service unavailable - try again later$'
wait_for "the word" logged 'warning: connect to Milter service inet:127.0.0.1:10101: Connection refused'
postconf -e 'milter_default_action = accept'
postfix reload >/dev/null 2>&1
expect "$(net toto 'nobody looked')" '^250 2.0.0 Ok: queued as'
wait_for "the mail" in_box toto '^Subject: nobody looked'
expect "$(pflogsumm $LOG)" '[1-9][0-9]* +rejected'
