# A relay that is down: the letter waits, the lists show it, and goes when told to once the relay is up.
. /run/box/machine/story.sh
postconf -e 'relayhost = [127.0.0.1]:2525'
start
letter "patience" someone@example.com
wait_for "the deferral" logged 'to=<someone@example.com>, relay=none, delay=.*dsn=4.4.1, status=deferred \(connect to 127.0.0.1\[127.0.0.1\]:2525: Connection refused\)'
wait_for "the deferred file" bash -c "[ -n \"\$(find $Q/deferred -type f)\" ]"
status 0 as eleve postqueue -p
expect "$OUT" '^-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------$'
expect "$OUT" '^[0-9A-F]{6,12} +[0-9]+ [A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8}  eleve@srvdmz.virtualux.fr$'
expect "$OUT" '^ *\(connect to 127.0.0.1\[127.0.0.1\]:2525: Connection refused\)$'
expect "$OUT" '^ {41}someone@example.com$'
expect "$OUT" '^-- [0-9] Kbytes in 1 Request\.$'
same "$(mailq)" "$OUT"
status 0 postqueue -j
expect "$OUT" '^\{"queue_name": "deferred", "queue_id": "[0-9A-F]+", "arrival_time": [0-9]+, "message_size": [0-9]+, "forced_expire": false, "sender": "eleve@srvdmz.virtualux.fr", "recipients": \[\{"address": "someone@example.com", "delay_reason": "connect to 127.0.0.1\[127.0.0.1\]:2525: Connection refused"\}\]\}$'
# A stop and a start lose nothing.
stop; start
sink 2525 /tmp/sunk
status 0 postqueue -f
wait_for "the delivery" grep -q '^Subject: patience' /tmp/sunk
wait_for "an empty queue" queue_empty
same "$(grep -c '^Subject: patience' /tmp/sunk)" 1
same "$(mailq)" "Mail queue is empty"
