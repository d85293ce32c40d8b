# Long lists, lists in circles, recipients named many times, and large originals in notices (faults.md: C10, C12, C28, C32).
. /run/box/machine/story.sh
mkdir /etc/lists
printf 'toto\n:include:/etc/lists/circle\n' >/etc/lists/circle
{ seq -f 'toto+%g' 300; echo titi; } >/etc/lists/long
cat >/etc/aliases <<'A'
postmaster: root
circle: :include:/etc/lists/circle
long: :include:/etc/lists/long
owner-long: eleve
A
newaliases
postconf -e 'bounce_size_limit = 2000'
start
letter "in a circle" circle
wait_for "the letter" in_box toto '^Subject: in a circle'
wait_for "an empty queue" queue_empty
same "$(count_in /var/mail/toto '^Subject: in a circle')" 1
letter "to many" long
wait_for "the last of them" in_box titi '^Subject: to many'
all() { (($(count_in /var/mail/toto '^Subject: to many') == 300)); }
wait_for "all of them" all
wait_for "an empty queue" queue_empty
expect "$(cat /var/mail/titi)" '^Return-Path: <owner-long@srvdmz.virtualux.fr>$'
expect "$(cat $LOG)" 'to=<long@srvdmz.virtualux.fr>, orig_to=<long>, relay=local, .*status=sent \(forwarded as [0-9A-F]+\)'
# The same recipient, many times.
{ printf 'EHLO x\nMAIL FROM:<eleve@srvdmz.virtualux.fr>\n'
  for n in {1..200}; do echo 'RCPT TO:<titi@srvdmz.virtualux.fr>'; done
  printf 'DATA\nR Subject: again and again\\r\\n\\r\\nHello\\r\\n.\\r\\n\n?\nQUIT\n'; } | smtp 25 >/dev/null
wait_for "it" in_box titi '^Subject: again and again'
wait_for "an empty queue" queue_empty
same "$(count_in /var/mail/titi '^Subject: again and again')" 1
# A notice holds no more of a large original than it may.
{ printf 'Subject: large\n\n'; seq 20000; } | as eleve sendmail nobody-here
wait_for "the notice" in_box eleve '^Subject: large'
N=$(sed -n '/^Subject: Undelivered/,$p' /var/mail/eleve)
((${#N} < 10000)) || fail "a notice of ${#N} bytes"
expect "$N" '^Content-Type: text/rfc822-headers$'
