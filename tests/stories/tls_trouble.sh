# Servers whose TLS does not work, or that do not mean it well: what our client does then, and when mail goes in clear.
. /run/box/machine/story.sh
. $M/mx.sh
authority; certificate mx mx.test
own="cert=/tmp/mx.pem key=/tmp/mx.key"
mx 2501 $own hand=close
mx 2502 $own hand=garbage
mx 2503 $own hand=inject
mx 2504 $own "starttls=454 4.7.0 not now"
mx 2505 $own starttls=drop
mx 2506 $own after=close
mx 2507 $own after=early
mx 2508 $own max=1.2
mx 2509 $own hand=silent
mx 2510 $own "auth=PLAIN" hand=close
mx 2511 $own "data=250 2.0.0 not what was asked for"
postconf -e smtp_tls_loglevel=1
start
L=smtp_tls_security_level
deferred() { expect "$LOGGED" "to=<a$LETTERS@x.example>, relay=mx.test\[127.0.0.1\]:$1, .*dsn=$2, status=deferred \($3\)$"; }
failed() { deferred $1 4.7.5 'Cannot start TLS: handshake failure'; expect_not "$(heard $1)" '^C: MAIL'; }
for level in may encrypt; do
  # A handshake that fails says nothing about the next one: at first the mail waits, whatever the level.
  try 2501 $L=$level
  expect "$LOGGED" 'smtp\[[0-9]+\]: SSL_connect error to mx.test\[127.0.0.1\]:2501: lost connection$'
  failed 2501
  same "$(commands 2501)" "EHLO STARTTLS "
  try 2502
  expect "$LOGGED" 'smtp\[[0-9]+\]: SSL_connect error to mx.test\[127.0.0.1\]:2502: -1$'
  failed 2502
  try 2505
  deferred 2505 4.4.2 'lost connection with mx.test\[127.0.0.1\] while receiving the STARTTLS response'
  try 2506
  expect "$LOGGED" 'Untrusted TLS connection established to'
  deferred 2506 4.4.2 'lost connection with mx.test\[127.0.0.1\] while performing the EHLO handshake'
done
# What comes in clear behind the 220 is never read as said by TLS. The reference forgets it, we refuse.
try 2503 $L=encrypt
if ours; then
  expect "$LOGGED" 'warning: mx.test\[127.0.0.1\]:2503: more than a reply to STARTTLS: refusing to start TLS$'
  failed 2503
else
  expect "$LOGGED" 'status=sent'
  same "$(commands 2503)" "EHLO STARTTLS EHLO MAIL RCPT DATA QUIT "
fi
# A server that says that it may, and then that it will not.
try 2504
deferred 2504 4.7.0 'TLS is required, but host mx.test\[127.0.0.1\] refused to start TLS: 454 4.7.0 not now'
same "$(commands 2504)" "EHLO STARTTLS QUIT "
try 2504 $L=may
expect "$LOGGED" 'status=sent'
same "$(commands 2504)" "EHLO STARTTLS MAIL RCPT DATA QUIT "
# A reply before its question (CVE-2009-3555). The reference does not see this one, and loses the thread.
try 2507 smtp_tls_block_early_mail_reply=yes
if ours; then
  expect "$LOGGED" 'warning: server mx.test\[127.0.0.1\] violates smtp_tls_block_early_mail_reply policy$'
  deferred 2507 4.7.0 'unexpected server message'
else
  expect "$LOGGED" 'status=bounced \(Protocol error: '
fi
# Nothing in common.
try 2508 $L=encrypt 'smtp_tls_mandatory_protocols=>=TLSv1.3'
expect "$LOGGED" 'smtp\[[0-9]+\]: SSL_connect error to mx.test\[127.0.0.1\]:2508: -1$'
failed 2508
try 2508 smtp_tls_mandatory_protocols= 'smtp_tls_mandatory_exclude_ciphers=aRSA, AESGCM'
failed 2508
try 2508 smtp_tls_mandatory_exclude_ciphers= smtp_tls_mandatory_ciphers=junk
expect "$LOGGED" 'warning: mx.test\[127.0.0.1\]:2508: invalid cipher grade: "junk"$'
failed 2508
try 2508 smtp_tls_mandatory_ciphers=high smtp_tls_mandatory_protocols=junk
expect "$LOGGED" 'warning: mx.test\[127.0.0.1\]:2508: Invalid TLS protocol list "junk": aborting TLS session$'
failed 2508
# A server that says nothing more.
try 2509 smtp_tls_mandatory_protocols= smtp_starttls_timeout=1s
expect "$LOGGED" 'smtp\[[0-9]+\]: SSL_connect error to mx.test\[127.0.0.1\]:2509: Connection timed out$'
failed 2509
# Files that are not there: only mail that may go in clear goes.
try 2508 smtp_tls_CAfile=/tmp/nothing.pem smtp_starttls_timeout=60s
expect "$LOGGED" 'smtp\[[0-9]+\]: cannot load Certification Authority data, CAfile="/tmp/nothing.pem": disabling TLS support$'
deferred 2508 4.7.5 'TLS is required, but our TLS engine is unavailable'
try 2508 $L=may
expect "$LOGGED" 'status=sent'
same "$(commands 2508)" "EHLO MAIL RCPT DATA QUIT "
try 2508 smtp_tls_CAfile= smtp_tls_cert_file=/tmp/nothing.pem $L=encrypt
expect "$LOGGED" 'warning: error opening chain file: /tmp/nothing.pem: No such file or directory$'
deferred 2508 4.7.5 'TLS is required, but our TLS engine is unavailable'
# Mail that has waited, or is no mail, may go in clear to a host whose TLS fails; not if it must not, and not if a
# password is known for that host.
plain() { expect "$LOGGED" "smtp\[[0-9]+\]: [0-9A-F]+: Cannot start TLS: handshake failure$"; expect "$LOGGED" "relay=mx.test\[127.0.0.1\]:$1, .*dsn=2.*, status=$2 "; }
OPTIONS=-bv try 2501 $L=may smtp_tls_cert_file=
plain 2501 deliverable
same "$(commands 2501)" "EHLO STARTTLS EHLO MAIL RCPT RSET QUIT "
OPTIONS=-bv try 2501 $L=encrypt
expect "$LOGGED" 'status=undeliverable \(Cannot start TLS: handshake failure\)$'
echo 'mx.test toto:secret' >/etc/postfix/passwords
postmap hash:/etc/postfix/passwords
OPTIONS=-bv try 2510 $L=may smtp_sasl_auth_enable=yes smtp_sasl_password_maps=hash:/etc/postfix/passwords smtp_sasl_security_options=noanonymous
expect "$LOGGED" 'status=undeliverable \(Cannot start TLS: handshake failure\)$'
OPTIONS=-bv try 2506 smtp_sasl_auth_enable=no
expect "$LOGGED" 'smtp\[[0-9]+\]: [0-9A-F]+: lost connection with mx.test\[127.0.0.1\] while performing the EHLO handshake$'
expect "$LOGGED" 'status=deliverable'
postconf -e 'relayhost = [mx.test]:2501' minimal_backoff_time=1s maximal_backoff_time=1s
postfix reload >/dev/null 2>&1
printf 'Subject: late\n\nx\n' | sendmail -f toto@srvdmz.virtualux.fr late@x.example
again() { postqueue -f; logged 'to=<late@x.example>, .*status=sent '; }
wait_for "mail that waited" again
LOGGED=$(grep -A9 'to=<late@x.example>, .*status=deferred (Cannot start TLS: handshake failure)$' $LOG)
plain 2501 sent
# A yes that is no answer to DATA is no yes to the mail.
try 2511
expect "$LOGGED" 'dsn=5.5.0, status=bounced \(Protocol error: host mx.test\[127.0.0.1\] said: 250 2.0.0 not what was asked for \(in reply to DATA command\)\)$'
