# postsuper holds, releases, requeues and deletes; postcat shows.
. /run/box/machine/story.sh
postconf -e 'relayhost = [127.0.0.1]:2525'
start
letter "one" a@example.com
letter "two" b@example.com
wait_for "two deferred" bash -c "[ \$(find $Q/deferred -type f | wc -l) = 2 ]"
id_of() { postqueue -j | sed -n "s/.*\"queue_id\": \"\([0-9A-F]*\)\".*$1@example.com.*/\1/p"; }
A=$(id_of a) B=$(id_of b)
status 0 postsuper -h "$A"
expect "$OUT" "^postsuper: $A: placed on hold$"
expect "$OUT" '^postsuper: Placed on hold: 1 message$'
expect "$(mailq)" "^$A! "
status 0 postcat -q "$A"
expect "$OUT" "^\*\*\* ENVELOPE RECORDS hold/$A \*\*\*$"
expect "$OUT" '^sender: eleve@srvdmz.virtualux.fr$'
expect "$OUT" '^recipient: a@example.com$'
expect "$OUT" '^\*\*\* MESSAGE CONTENTS '
expect "$OUT" '^Words of one\.$'
status 0 postsuper -d "$B"
expect "$OUT" "^postsuper: $B: removed$"
expect "$OUT" '^postsuper: Deleted: 1 message$'
sink 2525 /tmp/sunk
postqueue -f
sleep 1
[[ ! -e /tmp/sunk ]] || fail "a held message went"
status 0 postsuper -H "$A"
expect "$OUT" '^postsuper: Released from hold: 1 message$'
postqueue -f
wait_for "the released" grep -q '^Subject: one' /tmp/sunk
wait_for "an empty queue" queue_empty
expect_not "$(cat /tmp/sunk)" 'Subject: two'
status 1 as eleve postsuper -d ALL
