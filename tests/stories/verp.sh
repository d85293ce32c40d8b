# A sender for each recipient (VERP): mailing lists learn from a notice's address whose mail failed.
. /run/box/machine/story.sh
mkdir -m 1777 -p /var/tmp
cat >/usr/local/bin/keep <<'S'
#!/bin/sh
cat >"/var/tmp/$2"
echo "$1" >"/var/tmp/$2.sender"
S
printf '#!/bin/sh\nexit 67\n' >/usr/local/bin/refuse
chmod 755 /usr/local/bin/keep /usr/local/bin/refuse
for way in keep refuse; do
  postconf -M "$way/unix=$way unix - n n - - pipe flags=R user=titi argv=/usr/local/bin/$way \${sender} \${recipient}"
done
postconf -e 'transport_maps = inline:{keep.example=keep:, refuse.example=refuse:}' 'recipient_delimiter = +' \
  'smtpd_authorized_verp_clients = 127.0.0.0/8' 'keep_destination_recipient_limit = 50'
start
# Senders: what the agent is told, and what the mailbox says.
letter list -XV -f eleve@srvdmz.virtualux.fr a@keep.example b@keep.example '"q r"@keep.example' toto c@refuse.example d@refuse.example
wait_for "the mail" test -s /var/tmp/a@keep.example.sender -a -s /var/tmp/b@keep.example.sender -a -s '/var/tmp/q r@keep.example.sender'
same "$(cat /var/tmp/a@keep.example.sender)" eleve+a=keep.example@srvdmz.virtualux.fr
same "$(cat /var/tmp/b@keep.example.sender)" eleve+b=keep.example@srvdmz.virtualux.fr
same "$(head -1 '/var/tmp/q r@keep.example')" 'Return-Path: <"eleve+q r=keep.example"@srvdmz.virtualux.fr>'
# A recipient who was named without a domain is named so.
wait_for "toto's mail" in_box toto '^Return-Path: <eleve\+toto@srvdmz.virtualux.fr>$'
# A notice for each, to that sender; it speaks of the sender that the list gave.
wait_for "both notices" bash -c '[[ $(grep -c "^To: eleve+[cd]=refuse.example@" /var/mail/eleve) = 2 ]]'
same "$(count_in /var/mail/eleve '^<[cd]@refuse.example>: user unknown$')" 2
same "$(count_in /var/mail/eleve '^X-Postfix-Sender: rfc822; eleve@srvdmz.virtualux.fr$')" 2
wait_for "an empty queue" queue_empty
# By SMTP, with other delimiters; the queue file says so, and what goes to the queue again keeps it.
postconf -e 'defer_transports = keep'
stop; start
smtp 25 >/dev/null <<'S'
EHLO x
MAIL FROM:<titi@srvdmz.virtualux.fr> XVERP=-=
RCPT TO:<late@keep.example>
DATA
R Subject: later\r\n\r\nHello\r\n.\r\n
?
QUIT
S
wait_for "the deferral" logged 'to=<late@keep.example>, .*status=deferred'
expect "$(find $Q/deferred -type f -exec postcat -e {} \;)" '^verp_delimiters: -=$'
postconf -e 'defer_transports ='
stop
postsuper -r ALL 2>/dev/null
start
wait_for "the mail" test -s /var/tmp/late@keep.example.sender
same "$(cat /var/tmp/late@keep.example.sender)" titi-late=keep.example@srvdmz.virtualux.fr
wait_for "an empty queue" queue_empty
# One notice about all, to the list itself.
stop
postconf -e 'disable_verp_bounces = yes'
: >/var/mail/eleve
start
letter again -XV+= -f eleve@srvdmz.virtualux.fr e@refuse.example f@refuse.example
wait_for "the notice" in_box eleve '^To: eleve@srvdmz.virtualux.fr$'
same "$(count_in /var/mail/eleve '^<[ef]@refuse.example>: user unknown$')" 2
# Delivered is what a command of flag X keeps; what others take may go on.
postconf -M 'keep/unix=keep unix - n n - - pipe flags=RX user=titi argv=/usr/local/bin/keep ${sender} ${recipient}'
stop
postconf -M 'pass/unix=pass unix - n n - - pipe flags=R user=titi argv=/usr/local/bin/keep ${sender} ${recipient}'
postconf -e 'transport_maps = inline:{keep.example=keep:, pass.example=pass:}'
start
letter told -N success -f eleve@srvdmz.virtualux.fr g@keep.example h@pass.example
wait_for "the report" in_box eleve '^Subject: Successful Mail Delivery Report$'
wait_for "both" bash -c "grep -A3 '^Final-Recipient: rfc822; g@keep.example' /var/mail/eleve | grep -qx 'Action: delivered'"
wait_for "both" bash -c "grep -A3 '^Final-Recipient: rfc822; h@pass.example' /var/mail/eleve | grep -qx 'Action: relayed'"
