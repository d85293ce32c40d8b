# Mail for nobody comes back to its sender as a notice of three parts (RFC 3464).
. /run/box/machine/story.sh
start
letter "for nobody" nobody-here toto
wait_for "the good half" in_box toto '^Subject: for nobody'
wait_for "the notice" in_box eleve '^Subject: Undelivered Mail Returned to Sender'
N=$(cat /var/mail/eleve)
expect "$N" '^Return-Path: <>$'
expect "$N" '^From: (MAILER-DAEMON@srvdmz.virtualux.fr \(Mail Delivery System\)|Mail Delivery System <MAILER-DAEMON@srvdmz.virtualux.fr>)$'
expect "$N" '^To: eleve@srvdmz.virtualux.fr$'
expect "$N" '^Auto-Submitted: auto-replied$'
expect "$N" '^Content-Type: multipart/report; report-type=delivery-status;'
expect "$N" '^Content-Description: Notification$'
expect "$N" '^This is the mail system at host srvdmz.virtualux.fr\.$'
expect "$N" '^<nobody-here@srvdmz.virtualux.fr> \(expanded from <nobody-here>\): unknown user:$'
expect "$N" '^Content-Type: message/delivery-status$'
expect "$N" '^Reporting-MTA: dns; srvdmz.virtualux.fr$'
expect "$N" '^X-Postfix-Queue-ID: [0-9A-F]+$'
expect "$N" '^Final-Recipient: rfc822; nobody-here@srvdmz.virtualux.fr$'
expect "$N" '^Original-Recipient: rfc822; ?nobody-here$'
expect "$N" '^Action: failed$'
expect "$N" '^Status: 5\.1\.1$'
expect "$N" '^Diagnostic-Code: X-Postfix; unknown user: "nobody-here"$'
expect "$N" '^Content-Type: message/rfc822$'
expect "$N" '^Words of for nobody\.$'
expect "$(cat $LOG)" 'postfix/bounce\[[0-9]+\]: [0-9A-F]+: sender non-delivery notification: [0-9A-F]+$'
# A notice that cannot be delivered ends with the postmaster when asked for, and never in circles.
smtp 25 >/dev/null <<'S'
EHLO client
MAIL FROM:<ghost@srvdmz.virtualux.fr>
RCPT TO:<toto@srvdmz.virtualux.fr>
DATA
R Subject: haunted\r\n\r\nboo\r\n.\r\n
?
QUIT
S
wait_for "the haunted" in_box toto '^Subject: haunted'
wait_for "an empty queue" queue_empty
