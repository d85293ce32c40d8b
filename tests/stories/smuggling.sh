# Whatever looks like the end of a message and is not CRLF . CRLF hides no second message (faults.md, A1).
. /run/box/machine/story.sh
# What the reference does by default here is what its later versions changed.
ours || postconf -e 'smtpd_forbid_bare_newline = yes'
start
n=0
for end in '\n.\n' '\n.\r\n' '\r.\r' '\r.\r\n' '\r\n.\n' '\r\n.\r' '\r\n\0.\r\n' '\r\n.\0\r\n' '\r\r\n.\r\r\n'; do
  n=$((n + 1))
  D=$(smtp 25 <<S || true
EHLO client
MAIL FROM:<eleve@srvdmz.virtualux.fr>
RCPT TO:<toto@srvdmz.virtualux.fr>
DATA
R Subject: outer $n\r\n\r\none${end}MAIL FROM:<root@srvdmz.virtualux.fr>\r\nRCPT TO:<titi@srvdmz.virtualux.fr>\r\nDATA\r\nSubject: smuggled\r\n\r\ntwo\r\n.\r\n
?
QUIT
S
)
  ours || continue
  same "$(grep -c 'queued as' <<<"$D")" 1
  wait_for "outer $n" in_box toto "^Subject: outer $n"
done
wait_for "an empty queue" queue_empty
ours || skip "the reference of this version is open to bare newlines: only that it lives was tried"
[[ ! -e /var/mail/titi ]] || fail "a smuggled message arrived: $(cat /var/mail/titi)"
same "$(count_in /var/mail/toto '^Subject: outer')" $n
