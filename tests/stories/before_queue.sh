# A content filter that is asked before mail is accepted (SMTPD_PROXY_README).
. /run/box/machine/story.sh
postconf -e 'notify_classes =' 'message_size_limit = 20000' 'smtpd_proxy_timeout = 5s'
postconf -M '10026/inet=10026 inet n - n - - smtpd -o smtpd_proxy_filter= -o smtpd_authorized_xforward_hosts=127.0.0.0/8 -o smtpd_recipient_restrictions=permit_mynetworks,reject'
here=srvdmz.virtualux.fr from="MAIL FROM:<eleve@$here>" to="RCPT TO:<toto@$here>"
body='R Subject: x\r\n\r\nhello\r\n..dot\r\n.\r\n'
# through PORT: mail goes through that port from now on.
through() { stop || true; postconf -e "smtpd_proxy_filter = 127.0.0.1:$1"; start; }
talk() { T=$({ echo 'EHLO c'; printf '%s\n' "$@"; echo QUIT; } | smtp 25); T=${T#*250 CHUNKING$'\n'}; }
answers() { same "$(grep -v '^221' <<<"$T" | cut -c1-9 | tr '\n' '|')" "$1"; }
start

# Commands and content come through as they were sent, with our Received header.
through 10025
talk "$from" "$to" DATA
answers '250 2.1.0|451 4.3.0|554 5.5.1|'
wait_for "the log" logged 'smtpd\[[0-9]+\]: warning: connect to proxy filter 127\.0\.0\.1:10025: Connection refused$'
sink 10025 /tmp/sunk
talk "$from BODY=8BITMIME" "$to NOTIFY=NEVER" "RCPT TO:<titi@$here>" DATA "$body" '?'
answers '250 2.1.0|250 2.1.5|250 2.1.5|354 End d|250 2.0.0|'
expect "$T" '^250 2\.0\.0 Ok: taken$'
SUNK=$(tr -d '\r' </tmp/sunk)
expect "$SUNK" "^$from BODY=8BITMIME$"
expect "$SUNK" "^$to NOTIFY=NEVER$"
expect "$SUNK" '^Received: from c \(localhost \[127\.0\.0\.1\]\)$'
expect "$SUNK" "^	by $here \(Postfix\) with ESMTP;$"
expect "$SUNK" '^\.\.dot$'
wait_for "the log" logged 'smtpd\[[0-9]+\]: NOQUEUE: client=localhost\[127\.0\.0\.1\]$'
wait_for "the log" logged "smtpd\[[0-9]+\]: proxy-accept: END-OF-MESSAGE: 250 2\.0\.0 Ok: taken; from=<eleve@$here> to=<toto@$here> proto=ESMTP helo=<c>$"
# What is refused here does not come to the filter.
rm /tmp/sunk
talk "$from" "RCPT TO:<nobody-here@$here>" "$to" DATA "R $(printf 'x%.0s' {1..900})\r\n$(printf '%.0sy\\r\\n' {1..12000})\\r\\n.\\r\\n" '?'
answers '250 2.1.0|550 5.1.1|250 2.1.5|354 End d|552 5.3.4|'
[[ ! -e /tmp/sunk ]] || fail "a letter that is too big came through"

# The filter's word is the client's answer.
sink 10027 /tmp/no 127.0.0.1 'rcpt=550 5.7.1 not him'; through 10027
talk "$from" "$to" "RCPT TO:<titi@$here>" DATA
answers '250 2.1.0|550 5.7.1|550 5.7.1|554 5.5.1|'
wait_for "the log" logged "warning: proxy 127\.0\.0\.1:10027 rejected \"$to\": \"550 5\.7\.1 not him\"$"
sink 10028 /tmp/no 127.0.0.1 'end=554 5.7.1 spam'; through 10028
talk "$from" "$to" DATA "$body" '?' "$from" "$to" RSET NOOP
answers '250 2.1.0|250 2.1.5|354 End d|554 5.7.1|250 2.1.0|250 2.1.5|250 2.0.0|250 2.0.0|'
wait_for "the log" logged "proxy-reject: END-OF-MESSAGE: 554 5\.7\.1 spam; from=<eleve@$here> to=<toto@$here> proto=ESMTP helo=<c>$"
sink 10029 /tmp/no 127.0.0.1 'data=451 4.3.0 later'; through 10029
talk "$from" "$to" DATA "$from"
answers '250 2.1.0|250 2.1.5|451 4.3.0|503 5.5.1|'
sink 10031 /tmp/no 127.0.0.1 'mail=451 4.1.1 no sender'; through 10031
talk "$from" "$to" DATA
answers '250 2.1.0|451 4.1.1|554 5.5.1|'

# A filter that is ill puts mail off.
sink 10030 /tmp/no 127.0.0.1 'end=drop'; through 10030
talk "$from" "$to" DATA "$body" '?'
answers '250 2.1.0|250 2.1.5|354 End d|451 4.3.0|'
wait_for "the log" logged 'warning: lost connection with proxy 127\.0\.0\.1:10030$'
wait_for "the log" logged 'proxy-reject: END-OF-MESSAGE: 451 4\.3\.0 Error: queue file write error; '
sink 10032 /tmp/no 127.0.0.1 'greeting=554 go away'; through 10032
talk "$from" "$to" DATA
answers '250 2.1.0|451 4.3.0|554 5.5.1|'
wait_for "the log" logged 'warning: proxy 127\.0\.0\.1:10032 rejected "connection request": "554 go away"$'
[[ ! -e /tmp/no ]] || fail "a refused letter was taken"

# A smtpd of our own behind it knows who the client is.
through 10026
talk "$from" "$to" DATA "$body" '?'
answers '250 2.1.0|250 2.1.5|354 End d|250 2.0.0|'
wait_for "the letter" in_box toto '^\.dot$'
same "$(grep -c '^Received:' /var/mail/toto)" 2
wait_for "the log" logged 'smtpd\[[0-9]+\]: [0-9A-F]+: client=localhost\[127\.0\.0\.1\], orig_client=localhost\[127\.0\.0\.1\]$'
wait_for "its end" logged 'disconnect from localhost\[127\.0\.0\.1\] ehlo=1 xforward=1 mail=1 rcpt=1 data=1 quit=1 commands=6$'
