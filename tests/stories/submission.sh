# Mail handed in while the system is down waits, and arrives once it is up.
. /run/box/machine/story.sh
status 0 letter "first of all" toto
[[ -n $(find $Q/maildrop -type f) ]] || fail "nothing in maildrop"
same "$(stat -c %U $Q/maildrop/* | head -1)" eleve
status 69 as eleve mailq
expect "$OUT" 'mail system is down'
start
wait_for "the letter" in_box toto '^Subject: first of all$'
expect "$(cat /var/mail/toto)" '^From eleve@srvdmz.virtualux.fr  [A-Z][a-z]{2} [A-Z][a-z]{2}'
expect "$(cat /var/mail/toto)" '^Received: by srvdmz.virtualux.fr \(Postfix, from userid [0-9]+\)$'
expect "$(cat /var/mail/toto)" '^Return-Path: <eleve@srvdmz.virtualux.fr>$'
expect "$(cat /var/mail/toto)" '^X-Original-To: toto$'
expect "$(cat /var/mail/toto)" '^Delivered-To: toto@srvdmz.virtualux.fr$'
same "$(stat -c '%U %a' /var/mail/toto)" "toto 600"
wait_for "an empty queue" queue_empty
status 0 as eleve mailq
same "$OUT" "Mail queue is empty"
status 0 postfix status
status 1 postfix start
! ours || expect "$OUT" 'the Postfix mail system is already running'  # the reference is mute without a terminal
stop
status 1 postfix status
status 1 postfix stop
