# What stands behind -o in master.cf is for that service alone: smtpd's settings are not cleanup's, and cleanup's not smtpd's.
. /run/box/machine/story.sh
cat >>/etc/postfix/main.cf <<'C'
virtual_alias_maps = inline:{one@srvdmz.virtualux.fr=eleve}
local_recipient_maps =
smtpd_recipient_restrictions = permit_mynetworks, reject
C
cat >>/etc/postfix/master.cf <<'C'
127.0.0.1:2526 inet n - n - - smtpd
  -o virtual_alias_maps= -o myorigin=other.example -o append_at_myorigin=no -o myhostname=named.example
  -o { header_checks = inline:{ {x=y} } }
127.0.0.1:2527 inet n - n - - smtpd
  -o cleanup_service_name=plain
127.0.0.1:2528 inet n - n - - smtpd
  -o message_size_limit=1000
plain unix n - n - 0 cleanup
  -o virtual_alias_maps=
  -o { header_checks = regexp:{{/^Subject: (.*)/ PREPEND X-Plain: $$1}} }
C
start
send() { printf '%s\n' 'EHLO a' 'MAIL FROM:<titi>' "RCPT TO:<$2>" DATA "R Subject: $3\\r\\n\\r\\nx\\r\\n" . QUIT | smtp "$1" >/dev/null; }
# The aliases of cleanup and the rewriting of trivial-rewrite, whatever smtpd has; smtpd's own name in Received.
send 2526 one first
wait_for "the first letter" in_box eleve '^Subject: first$'
expect "$(cat /var/mail/eleve)" '^X-Original-To: one$'
expect "$(cat /var/mail/eleve)" '^From titi@srvdmz.virtualux.fr '
expect "$(cat /var/mail/eleve)" '^	by named.example \(Postfix'
# A smaller limit of smtpd's own holds, too.
big() { printf '%s\n' 'EHLO a' 'MAIL FROM:<titi>' 'RCPT TO:<toto>' DATA "R $(printf 'x%.0s' {1..600})\\r\\n" "R $(printf 'x%.0s' {1..600})\\r\\n" . QUIT | smtp "$1"; }
expect "$(big 2528)" '^552 5.3.4 '
expect "$(big 2527)" '^250 2.0.0 Ok: queued'
# Another cleanup: no aliases, and header checks of its own.
send 2527 one second
wait_for "a refusal" logged 'to=<one@srvdmz.virtualux.fr>.* status=bounced'
send 2527 toto third
wait_for "the third letter" in_box toto '^Subject: third$'
expect "$(cat /var/mail/toto)" '^X-Plain: third$'
expect_not "$(cat /var/mail/eleve)" '^X-Plain'
