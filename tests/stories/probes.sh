# Addresses are tried before mail for them, or from them, is taken (ADDRESS_VERIFICATION_README).
. /run/box/machine/story.sh
postconf -e 'local_recipient_maps =' 'address_verify_poll_delay = 1s' 'unverified_recipient_reject_code = 550' \
  'smtpd_recipient_restrictions = reject_unverified_recipient, permit_mynetworks, reject' \
  'sender_bcc_maps = static:titi' 'recipient_bcc_maps = static:titi' 'always_bcc = titi' \
  'address_verify_transport_maps = inline:{sink.example=smtp:[127.0.0.1]:2525, down.example=smtp:[127.0.0.1]:2526}'
start
sink 2525 /tmp/sunk
try() { { echo 'EHLO c'; printf '%s\n' "$@"; echo QUIT; } | smtp 25; }
from='MAIL FROM:<eleve@srvdmz.virtualux.fr>' here=srvdmz.virtualux.fr

# What is not known is found out while the client waits, and is known the next time.
T=$(try "$from" "RCPT TO:<toto@$here>" "RCPT TO:<nobody-here@$here>")
expect "$T" '^250 2\.1\.5 Ok$'
expect "$T" "^550 5\.1\.1 <nobody-here@$here>: Recipient address rejected: undeliverable address: unknown user: \"nobody-here\"$"
wait_for "the probe" logged "postfix/local\[[0-9]+\]: [0-9A-F]+: to=<toto@$here>, relay=local, .*, dsn=2\.0\.0, status=deliverable \(delivers to mailbox\)$"
wait_for "the probe" logged "to=<nobody-here@$here>, relay=local, .*, dsn=5\.1\.1, status=undeliverable \(unknown user: \"nobody-here\"\)$"
expect "$(cat $LOG)" "from=<double-bounce@$here>, size=[0-9]+, nrcpt=1 \(queue active\)$"
T=$(try "$from" "RCPT TO:<nobody-here@$here>" 'RCPT TO:<someone@sink.example>' 'RCPT TO:<someone@down.example>')
expect "$T" "^550 5\.1\.1 <nobody-here@$here>: "
expect "$T" '^250 2\.1\.5 Ok$'
expect "$T" '^450 4\.1\.1 <someone@down.example>: Recipient address rejected: unverified address: connect to 127\.0\.0\.1\[127\.0\.0\.1\]:2526: Connection refused$'
same "$(grep -c "to=<nobody-here@$here>.*status=" $LOG)" 1
wait_for "an empty queue" queue_empty
[[ ! -e /var/mail/toto && ! -e /var/mail/titi && ! -e /tmp/sunk ]] || fail "a probe was delivered"

# Senders, in the administrator's words; nobody is never asked about.
postconf -e 'smtpd_recipient_restrictions = reject_unverified_sender, permit' 'unverified_sender_reject_reason = Nobody of that name'
postfix reload 2>/dev/null
T=$(try "MAIL FROM:<nobody-else@$here>" "RCPT TO:<toto@$here>" RSET "$from" "RCPT TO:<toto@$here>" RSET 'MAIL FROM:<>' "RCPT TO:<toto@$here>" "RCPT TO:<double-bounce@$here>")
expect "$T" "^450 4\.1\.7 <nobody-else@$here>: Sender address rejected: unverified address: Nobody of that name$"
same "$(grep -c '^250 2\.1\.5' <<<"$T")" 3

# What was found out outlives the service.
stop
expect "$(cat $LOG)" 'postfix/verify\[[0-9]+\]: cache btree:/var/lib/postfix/verify_cache full cleanup: retained=[0-9]+ dropped=0 entries$'
expect "$(postmap -s btree:/var/lib/postfix/verify_cache)" "^toto@$here"$'\t''0:0:[0-9]+:delivers to mailbox$'
expect "$(postmap -q someone@down.example btree:/var/lib/postfix/verify_cache)" '^1:0:[0-9]+:connect to '
