# Senders who ask are told what becomes of their mail: sendmail -bv and -v, NOTIFY=SUCCESS.
. /run/box/machine/story.sh
cat >>/etc/aliases <<'A'
list: toto, titi
command: "|/bin/cat >/tmp/ran"
file: /tmp/filed
owned: toto
owner-owned: titi
A
newaliases
start
report() { wait_for "a report about $2" in_box eleve "$1"; N=$(cat /var/mail/eleve); rm -f /var/mail/eleve; }

# -bv: nothing is delivered, and the answer for each recipient comes by mail.
status 0 as eleve sendmail -bv list command file owned nobody-here </dev/null
same "$OUT" 'Mail Delivery Status Report will be mailed to <eleve>.'
report '^Subject: Mail Delivery Status Report$' "the probe"
expect "$N" '^Return-Path: <>$'
expect "$N" '^Enclosed is the mail delivery report that you requested\.$'
expect "$N" '^<toto@srvdmz.virtualux.fr> \(expanded from <list>\): delivery via local: delivers$'
expect "$N" '^    to mailbox$'
expect "$N" '^<command@srvdmz.virtualux.fr> \(expanded from <command>\): delivery via local:$'
expect "$N" '^    delivers to command: /bin/cat >/tmp/ran$'
expect "$N" 'delivers( to|$)'
expect "$N" '^Diagnostic-Code: X-Postfix; delivery via local: delivers to file: /tmp/filed$'
expect "$N" '^Diagnostic-Code: X-Postfix; delivery via local: forwards to$'
expect "$N" '^Action: deliverable$'
expect "$N" '^Action: undeliverable$'
expect "$N" '^Status: 5\.1\.1$'
expect "$N" '^Subject: probe$'
expect "$N" '^Content-Description: Message Headers$'
wait_for "the line in the log" logged 'to=<titi@srvdmz.virtualux.fr>, orig_to=<list>, relay=local, .* dsn=2\.0\.0, status=deliverable \(delivers to mailbox\)$'
wait_for "the line in the log" logged 'to=<nobody-here@srvdmz.virtualux.fr>, .* dsn=5\.1\.1, status=undeliverable \(unknown user: "nobody-here"\)$'
wait_for "the line in the log" logged 'postfix/bounce\[[0-9]+\]: [0-9A-F]+: sender delivery status notification: [0-9A-F]+$'
wait_for "an empty queue" queue_empty
[[ ! -e /var/mail/toto && ! -e /var/mail/titi && ! -e /tmp/ran && ! -e /tmp/filed ]] || fail "a probe was delivered"

# By SMTP the host is asked, and nothing is sent.
postconf -e 'relayhost = [127.0.0.1]:2525'
postfix reload
sink 2525 /tmp/sunk
as eleve sendmail -bv a@example.com </dev/null
report '^Subject: Mail Delivery Status Report$' "the asked host"
expect "$N" '^<a@example.com>: delivery via 127\.0\.0\.1\[127\.0\.0\.1\]:2525: 250 '
expect "$N" '^Action: deliverable$'
wait_for "an empty queue" queue_empty
[[ ! -s /tmp/sunk ]] || fail "the host was sent the probe"

# -v: the mail goes out, and every recipient is reported.
letter "watched" -v toto nobody-here
wait_for "the watched letter" in_box toto '^Subject: watched'
wait_for "both notices" bash -c '[ $(grep -c "^From MAILER-DAEMON" /var/mail/eleve) = 2 ]'
report '^Subject: Undelivered Mail Returned to Sender$' "the failure"
expect "$N" '^Subject: Mail Delivery Status Report$'
expect "$N" '^<toto@srvdmz.virtualux.fr> \(expanded from <toto>\): delivery via local:$'
expect "$N" '^    delivered to mailbox$'
expect "$N" '^Action: delivered$'
expect "$N" '^Action: failed$'

# NOTIFY=SUCCESS: of a list with an owner the sender hears that it was expanded; what becomes of it is the owner's.
letter "wanted" -N success -V env-1 toto owned
report '^Subject: Successful Mail Delivery Report$' "success"
expect "$N" '^Your message was successfully delivered to the destination\(s\)$'
expect "$N" '^Original-Envelope-Id: env-1$'
expect "$N" '^<owned@srvdmz.virtualux.fr>.*: delivery via local: alias expanded$|alias$'
expect "$N" '^Action: delivered$'
wait_for "the line in the log" logged 'from=<owner-owned@srvdmz.virtualux.fr>'
expect_not "$N" '^Action: failed$'
letter "relayed" -N success a@example.com
report '^Subject: Successful Mail Delivery Report$' "relaying"
expect "$N" '^Action: relayed$'
expect "$N" '^Remote-MTA: dns; 127\.0\.0\.1$'
letter "silent" -N never toto nobody-here
wait_for "an empty queue" queue_empty
[[ ! -e /var/mail/eleve ]] || fail "told although never was asked: $(cat /var/mail/eleve)"
[[ -z $(find $Q/trace -type f) ]] || fail "left in trace/"
