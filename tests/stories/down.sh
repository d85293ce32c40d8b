# The queue while nothing runs, mail that is given up by hand, and queue files that both sides read.
. /run/box/machine/story.sh
status 69 postqueue -f
expect "$OUT" '^postqueue: fatal: Cannot flush mail queue - mail system is down$'
letter "waiting" toto 2>/dev/null
status 0 postqueue -p
expect "$OUT" '^postqueue: warning: Mail system is down -- accessing queue directly \(Connect to the Postfix showq service: '
expect "$OUT" ' eleve$'
expect "$OUT" '^-- 0 Kbytes in 1 Request\.$'
status 69 as eleve mailq
expect "$OUT" '^postqueue: fatal: Queue report unavailable - mail system is down \(Connect to the Postfix showq service: '
wait_for "the line in the log" logged 'postfix/postqueue\[[0-9]+\]: fatal: Queue report unavailable'
status 75 sendmail -Z
wait_for "the line in the log" logged 'postfix/sendmail\[[0-9]+\]: fatal: usage: sendmail \[options\]$'

# Once it ran, its sockets stay: submission is silent.
start
wait_for "the waiting letter" in_box toto '^Subject: waiting'
stop
same "$(letter "later" toto 2>&1)" ""
status 0 postqueue -p
expect "$OUT" 'Connection refused'

# postsuper -e: back to the sender at the next attempt.
postconf -e 'relayhost = [127.0.0.1]:2525'
start
wait_for "the later letter" in_box toto '^Subject: later'
letter "given up" a@example.com
letter "pushed" b@example.com
wait_for "both deferred" bash -c "[ \$(find $Q/deferred -type f | wc -l) = 2 ]"
id_of() { postqueue -j | sed -n "s/.*\"queue_id\": \"\([0-9A-F]*\)\".*$1@example.com.*/\1/p"; }
A=$(id_of a) B=$(id_of b)
status 0 postsuper -e "$A"
expect "$OUT" "^postsuper: $A: expired$"
expect "$OUT" '^postsuper: Force-expired: 1 message$'
expect "$(mailq)" "^$A# "
expect "$(postqueue -j)" '"forced_expire": true'
as eleve postqueue -i "$A"
wait_for "the notice" in_box eleve '^Subject: Undelivered Mail Returned to Sender'
wait_for "the line in the log" logged "$A: from=<eleve@srvdmz.virtualux.fr>, status=force-expired, returned to sender$"
same "$(find $Q/deferred -type f -printf '%f\n')" "$B"

# A broken main.cf stops no mail that is under way, and is told; a reload mends all.
cp /etc/postfix/main.cf /tmp/good
echo 'message_size_limit = many' >>/etc/postfix/main.cf
status 1 postfix reload
status 75 sendmail toto
expect "$OUT" '^sendmail: fatal: bad numerical configuration: message_size_limit = many$'
wait_for "the line in the log" logged 'postfix\[[0-9]+\]: fatal: bad numerical configuration: message_size_limit = many$'
cp /tmp/good /etc/postfix/main.cf
postfix reload
letter "mended" toto
wait_for "the mended" in_box toto '^Subject: mended'

# Queue files: what we wrote, the reference's postcat shows as ours does, with the names of its own.
ours || exit 0
theirs=/usr/sbin/postcat.before-pillarbox
[[ -x $theirs ]] || { echo "skipped: postcat both ways: the reference is not installed" >&2; exit 0; }
postsuper -h "$B"
letter "kept" toto; stop; letter "waits" toto
for file in "$Q/hold/$B" $(find $Q/maildrop -type f); do
  for options in "" -e -h -b -d -o -v -be -do; do
    same "$(postcat $options "$file")" "$($theirs $options "$file" 2>/dev/null)"
  done
done
