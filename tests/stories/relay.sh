# Strangers may write to us and not through us; our networks may do both.
. /run/box/machine/story.sh
sink 2500 /tmp/sunk
postconf -e 'relayhost = [127.0.0.1]:2500'
start
# From 192.168.4.1, which mynetworks does not hold.
D=$(smtp 25 192.168.4.10 <<'S'
EHLO stranger
MAIL FROM:<a@example.org>
RCPT TO:<b@example.com>
RCPT TO:<nobody-here@srvdmz.virtualux.fr>
RCPT TO:<toto@srvdmz.virtualux.fr>
DATA
R Subject: from a stranger\r\n\r\nHello\r\n.\r\n
?
QUIT
S
)
expect "$D" '^220 srvdmz.virtualux.fr ESMTP Postfix'
expect "$D" '^4?5?[0-9]{2} [45]\.7\.1 <b@example.com>: Relay access denied$'
expect "$D" '^550 5.1.1 <nobody-here@srvdmz.virtualux.fr>: Recipient address rejected: User unknown in local recipient table$'
expect "$D" '^354 End data with <CR><LF>.<CR><LF>$'
expect "$D" '^250 2.0.0 Ok: queued as [0-9A-F]+$'
expect "$D" '^221 2.0.0 Bye$'
wait_for "the stranger's" in_box toto '^Subject: from a stranger'
expect "$(cat /var/mail/toto)" '^Received: from stranger \(.*\[192\.168\.4\.10\]\)$'
wait_for "the log" logged 'postfix/smtpd\[[0-9]+\]: NOQUEUE: reject: RCPT from [^ ]*\[192.168.4.10\]: [45]54 [45].7.1 <b@example.com>: Relay access denied; from=<a@example.org> to=<b@example.com> proto=ESMTP helo=<stranger>'
D=$(smtp 25 <<'S'
EHLO friend
MAIL FROM:<eleve@srvdmz.virtualux.fr>
RCPT TO:<b@example.com>
DATA
R Subject: from a friend\r\n\r\n.. dots\r\n.\r\n
?
QUIT
S
)
expect "$D" 'queued as'
wait_for "the relayed" grep -q 'Subject: from a friend' /tmp/sunk
expect "$(tr -d '\r' </tmp/sunk)" '^RCPT TO:<b@example.com>'
expect "$(tr -d '\r' </tmp/sunk)" '^\.\. dots$'
wait_for "the log" logged 'postfix/smtp\[[0-9]+\]: [0-9A-F]+: to=<b@example.com>, relay=127.0.0.1\[127.0.0.1\]:2500, delay=[0-9.]+, delays=[0-9./]+, dsn=2.0.0, status=sent \(250 2.0.0 Ok: taken\)'
