# ETRN and postqueue -s: the mail that waits for a site is tried now, and no other.
. /run/box/machine/story.sh
cat >>/etc/postfix/main.cf <<'C'
relay_domains = waits.example other.example
fast_flush_domains = waits.example
transport_maps = inline:{waits.example=smtp:[127.0.0.1]:2525,other.example=smtp:[127.0.0.1]:2525}
minimal_backoff_time = 3000s
maximal_backoff_time = 3000s
queue_run_delay = 3000s
C
start
letter first a@waits.example
letter second a@other.example
wait_for "a deferral" logged 'to=<a@waits.example>.* status=deferred'
wait_for "another deferral" logged 'to=<a@other.example>.* status=deferred'
sleep 1.2  # the reference's flush service writes its lists a little later
sink 2525
etrn() { printf '%s\n' 'EHLO a' "ETRN $1" QUIT | smtp 25; }
expect "$(etrn other.example)" '^459 <other.example>: service unavailable'
expect "$(etrn '@waits.example')" '^250 Queuing started'
wait_for "the first letter" logged 'to=<a@waits.example>.* status=sent'
letter third a@waits.example
wait_for "the third letter" bash -c "[[ \$(grep -c 'to=<a@waits.example>.* status=sent' $LOG) = 2 ]]"
# By hand, as an ordinary user.
kill $!; wait $! 2>/dev/null || true
letter fourth a@waits.example
wait_for "a deferral" bash -c "[[ \$(grep -c 'to=<a@waits.example>.* status=deferred' $LOG) = 2 ]]"
sleep 1.2
sink 2525
status 0 as eleve postqueue -s waits.example
same "$OUT" ""
wait_for "the fourth letter" bash -c "[[ \$(grep -c 'to=<a@waits.example>.* status=sent' $LOG) = 3 ]]"
status 69 as eleve postqueue -s other.example
expect "$OUT" 'Flush service is not configured for destination "other.example"'
expect "$(mailq)" 'a@other.example'
! logged 'to=<a@other.example>.* status=sent' || fail "other.example was tried"
