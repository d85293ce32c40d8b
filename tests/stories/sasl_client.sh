# How our client proves who it is: for whom it has a password, by which mechanism, and what becomes of mail when the
# server says no.
. /run/box/machine/story.sh
. $M/mx.sh
authority; certificate mx mx.test
mx 2501 "auth=PLAIN LOGIN CRAM-MD5"
mx 2502 "auth=PLAIN LOGIN"
mx 2503 auth=LOGIN
mx 2504 "authold=LOGIN PLAIN"
mx 2505 auth=
mx 2506 "auth=GSSAPI SPNEGO"
mx 2507 auth=PLAIN "login=454 4.7.0 not now"
mx 2508 auth=PLAIN "login=550 5.7.1 go away"
mx 2509 auth=PLAIN endless=yes
mx 2510 auth=CRAM-MD5 "challenge=!!!"
mx 2511 cert=/tmp/mx.pem key=/tmp/mx.key auth=CRAM-MD5 "authtls=PLAIN LOGIN"
mx 2512
mx 2513 "auth=SCRAM-SHA-1 SCRAM-SHA-256 CRAM-MD5 PLAIN"
mx 2514 "auth=SCRAM-SHA-1 PLAIN"
P=/etc/postfix/passwords
passwords() { printf '%s\n' "$@" >$P; postmap hash:$P; }
postconf -e smtp_sasl_auth_enable=yes smtp_sasl_password_maps=hash:$P
passwords 'mx.test toto:secret'
# Nobody but root reads passwords.
chmod 600 $P $P.db
start
O=smtp_sasl_security_options
sent() { expect "$LOGGED" 'status=sent'; same "$(heard $1 '^C: (AUTH|credentials)' | tr '\n' ' ')" "$2"; }
deferred() { expect "$LOGGED" "relay=mx.test\[127.0.0.1\]:$1, .*dsn=$2, status=deferred \($3\)$"; expect_not "$(heard $1)" '^C: MAIL'; }
# No password goes over the wire as it is, unless that is wanted; where none is asked for, none is told.
try 2501
sent 2501 "C: AUTH CRAM-MD5 C: credentials toto secret "
try 2502
expect "$LOGGED" 'warning: SASL authentication failure: No worthy mechs found$'
deferred 2502 4.7.0 'SASL authentication failed; cannot authenticate to server mx.test\[127.0.0.1\]: no mechanism available'
same "$(commands 2502)" "EHLO QUIT "
try 2512
sent 2512 ""
try 2502 $O=noanonymous
sent 2502 "C: AUTH PLAIN C: credentials toto secret "
try 2503
sent 2503 "C: AUTH LOGIN C: credentials toto secret "
try 2504
sent 2504 "C: AUTH PLAIN C: credentials toto secret "
try 2513
sent 2513 "C: AUTH SCRAM-SHA-256 C: credentials toto secret "
try 2514
sent 2514 "C: AUTH SCRAM-SHA-1 C: credentials toto secret "
try 2513 smtp_sasl_mechanism_filter=cram-md5
sent 2513 "C: AUTH CRAM-MD5 C: credentials toto secret "
try 2502
expect "$LOGGED" "warning: mx.test\[127.0.0.1\]:2502 offered no supported AUTH mechanisms: 'PLAIN LOGIN'$"
deferred 2502 4.7.0 'SASL authentication failed: server mx.test\[127.0.0.1\] offered no compatible authentication mechanisms for this type of connection security'
# Servers that offer nothing, say no, or talk nonsense.
try 2505 smtp_sasl_mechanism_filter=
expect "$LOGGED" 'warning: mx.test\[127.0.0.1\]:2505 offered null AUTH mechanism list$'
deferred 2505 4.7.0 'SASL authentication failed: server mx.test\[127.0.0.1\] offered no compatible authentication mechanisms for this type of connection security'
try 2506
deferred 2506 4.7.0 'SASL authentication failed; cannot authenticate to server mx.test\[127.0.0.1\]: no mechanism available'
try 2507
deferred 2507 4.7.0 'SASL authentication failed; server mx.test\[127.0.0.1\] said: 454 4.7.0 not now'
try 2508
deferred 2508 4.7.1 'SASL authentication failed; server mx.test\[127.0.0.1\] said: 550 5.7.1 go away'
try 2509
expect "$LOGGED" 'warning: SASL authentication problem: attempting client step after doneflag$'
deferred 2509 4.7.0 'SASL authentication failed; cannot authenticate to server mx.test\[127.0.0.1\]: generic failure'
try 2510
deferred 2510 4.7.0 'SASL authentication failed; cannot authenticate to server mx.test\[127.0.0.1\]: .*'
try 2508 smtp_sasl_auth_soft_bounce=no
expect "$LOGGED" "to=<a$LETTERS@x.example>, .*dsn=5.7.1, status=bounced \(SASL authentication failed; server mx.test\[127.0.0.1\] said: 550 5.7.1 go away\)$"
# A new password is used at once, though only root can read it.
try 2502
sent 2502 "C: AUTH PLAIN C: credentials toto secret "
passwords 'mx.test toto:renewed'
chmod 600 $P $P.db
printf 'Subject: x\n\nx\n' | sendmail -f toto@srvdmz.virtualux.fr renewed@x.example
wait_for "the new password" grep -q '^C: credentials toto renewed$' /tmp/heard.2502
# Whose password: the host's, the next hop's, the sender's.
postconf -e smtp_sasl_auth_soft_bounce=yes
refused() { deferred $1 4.7.8 'SASL authentication failed; server mx.test\[127.0.0.1\] said: 535 5.7.8 Error: authentication failed'; expect "$(heard $1)" "^C: credentials $2$"; }
rm -f $P $P.db
passwords 'mx.test toto:of:the:host' '[mx.test]:2502 toto:of the next hop'
try 2502
refused 2502 'toto of:the:host'
passwords '[mx.test]:2502 toto:secret' 'toto@srvdmz.virtualux.fr toto:of the sender' '@other.test toto:of a domain'
try 2502
sent 2502 "C: AUTH PLAIN C: credentials toto secret "
try 2502 smtp_sender_dependent_authentication=yes
refused 2502 'toto of the sender'
FROM=toto+box@srvdmz.virtualux.fr try 2502
refused 2502 'toto of the sender'
FROM=x@other.test try 2502
refused 2502 'toto of a domain'
FROM=titi@srvdmz.virtualux.fr try 2502 smtp_send_dummy_mail_auth=yes
sent 2502 "C: AUTH PLAIN C: credentials toto secret "
expect "$(heard 2502)" '^C: MAIL FROM:<titi@srvdmz.virtualux.fr> AUTH=<>$'
passwords 'other.test toto:secret'
try 2502
sent 2502 ""
expect "$(heard 2502)" '^C: MAIL FROM:<toto@srvdmz.virtualux.fr>$'
try 2502 smtp_sasl_password_maps=hash:/tmp/nothing
deferred 2502 4.3.0 'local data error while talking to mx.test\[127.0.0.1\]'
# What is good enough by TLS, and to a server that is who it should be.
passwords 'mx.test toto:secret'
try 2511 smtp_sasl_password_maps=hash:$P smtp_sender_dependent_authentication=no smtp_tls_security_level=may $O=noplaintext smtp_sasl_tls_security_options=noanonymous
sent 2511 "C: AUTH PLAIN C: credentials toto secret "
try 2511 smtp_sasl_tls_security_options=noplaintext smtp_sasl_tls_verified_security_options=noanonymous
deferred 2511 4.7.0 'SASL authentication failed; cannot authenticate to server mx.test\[127.0.0.1\]: no mechanism available'
try 2511 smtp_tls_security_level=verify smtp_tls_CAfile=/tmp/ca.pem
sent 2511 "C: AUTH PLAIN C: credentials toto secret "
# No word of a password in the log.
same "$(count_in $LOG 'secret|toto:renewed|of the sender|of:the:host')" 0
# A configuration that cannot be meant ends the program.
broken() { postconf -e "$2"; postfix reload >/dev/null 2>&1; printf 'Subject: x\n\nx\n' | sendmail -f toto x@x.example; wait_for "$1" logged "smtp\[[0-9]+\]: fatal: $1"; }
broken 'specify a password table via the `smtp_sasl_password_maps. configuration parameter' smtp_sasl_password_maps=
