# Addresses that try to be something else (faults.md, B): no relaying, no command, no file, by whatever spelling. Each row
# is a command and, after a tab, the reply.
. /run/box/machine/story.sh
postconf -e 'mydestination = srvdmz.virtualux.fr, localhost, example.test' 'mynetworks = 127.0.0.1/32' \
  'smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination' \
  'smtpd_error_sleep_time = 0' 'smtpd_hard_error_limit = 200' 'smtpd_soft_error_limit = 200'
cat >/tmp/wanted <<'T'
MAIL FROM:<a@b.test>	250 2.1.0 Ok
RCPT TO:<@a,@b:toto@example.test>	250 2.1.5 Ok
RCPT TO:<@a,@b:joe@evil.test>	554 5.7.1 <joe@evil.test>: Relay access denied
RCPT TO:<joe%evil.test@example.test>	554 5.7.1 <joe%evil.test@example.test>: Relay access denied
RCPT TO:<joe%evil.test>	554 5.7.1 <joe%evil.test>: Relay access denied
RCPT TO:<evil.test!joe>	554 5.7.1 <evil.test!joe>: Relay access denied
RCPT TO:<evil!joe@example.test>	554 5.7.1 <evil!joe@example.test>: Relay access denied
RCPT TO:<"joe@evil.test">	554 5.7.1 <joe@evil.test>: Relay access denied
RCPT TO:<"joe@evil.test"@example.test>	554 5.7.1 <joe@evil.test@example.test>: Relay access denied
RCPT TO:<"joe%evil.test"@example.test>	554 5.7.1 <joe%evil.test@example.test>: Relay access denied
RCPT TO:<joe@evil.test@example.test>	554 5.7.1 <joe@evil.test@example.test>: Relay access denied
RCPT TO:<joe@evil.test@[192.168.4.10]>	554 5.7.1 <joe@evil.test@[192.168.4.10]>: Relay access denied
RCPT TO:<joe%evil.test@[192.168.4.10]>	554 5.7.1 <joe%evil.test@[192.168.4.10]>: Relay access denied
RCPT TO:<toto@[192.168.4.10]>	250 2.1.5 Ok
RCPT TO:<toto@[127.0.0.1]>	250 2.1.5 Ok
RCPT TO:<toto@[IPv6:::1]>	554 5.7.1 <toto@[IPv6:::1]>: Relay access denied
RCPT TO:<toto@[IPv6:::ffff:192.168.4.10]>	250 2.1.5 Ok
RCPT TO:<toto@[bad]>	501 5.1.3 Bad recipient address syntax
RCPT TO:<>	501 5.1.3 Bad recipient address syntax
RCPT TO:<@>	501 5.1.3 Bad recipient address syntax
RCPT TO:<-oQ/tmp@example.test>	501 5.1.3 Bad recipient address syntax
RCPT TO:<|id@example.test>	550 5.1.1 <|id@example.test>: Recipient address rejected: User unknown in local recipient table
RCPT TO:<"|id"@example.test>	550 5.1.1 <|id@example.test>: Recipient address rejected: User unknown in local recipient table
RCPT TO:</tmp/x@example.test>	550 5.1.1 </tmp/x@example.test>: Recipient address rejected: User unknown in local recipient table
RCPT TO:<:include:/x@example.test>	550 5.1.1 <:include:/x@example.test>: Recipient address rejected: User unknown in local recipient table
RCPT TO:<../../etc/passwd@example.test>	550 5.1.1 <../../etc/passwd@example.test>: Recipient address rejected: User unknown in local recipient table
RCPT TO:<$(id)@example.test>	550 5.1.1 <$@example.test>: Recipient address rejected: User unknown in local recipient table
RCPT TO:<`id`@example.test>	550 5.1.1 <`id`@example.test>: Recipient address rejected: User unknown in local recipient table
RCPT TO:<toto;id@example.test>	501 5.1.3 Bad recipient address syntax
RCPT TO:<toto+|id@example.test>	250 2.1.5 Ok
RCPT TO:<toto @example.test>	250 2.1.5 Ok
RCPT TO:toto@example.test	250 2.1.5 Ok
RCPT TO:<toto@example.test (comment)>	250 2.1.5 Ok
RCPT TO:<toto@example.test>junk	501 5.1.3 Bad recipient address syntax
RCPT TO:<group:toto@example.test;>	250 2.1.5 Ok
RCPT TO:<toto@example.test,titi@example.test>	501 5.1.3 Bad recipient address syntax
RCPT TO:<toto@-bad.test>	501 5.1.3 Bad recipient address syntax
RCPT TO:<toto@a..b>	501 5.1.3 Bad recipient address syntax
RCPT TO:<toto@>	501 5.1.3 Bad recipient address syntax
RCPT TO:<toto@example.test.>	250 2.1.5 Ok
RCPT TO:<toto@EXAMPLE.TEST>	250 2.1.5 Ok
RCPT TO:<TOTO@example.test>	250 2.1.5 Ok
RCPT TO:<toto>	250 2.1.5 Ok
RCPT TO:<postmaster>	250 2.1.5 Ok
RCPT TO:<toto@example.test> SIZE=3	555 5.5.4 Unsupported option: SIZE=3
RCPT TO:<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.test>	550 5.1.1 <aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.test>: Recipient address rejected: User unknown in local recipient table
RSET	250 2.0.0 Ok
MAIL FROM:<x@a..b>	501 5.1.7 Bad sender address syntax
MAIL FROM:<-f@b.test>	501 5.1.7 Bad sender address syntax
MAIL FROM:<x>	250 2.1.0 Ok
RSET	250 2.0.0 Ok
VRFY toto	252 2.0.0 toto
VRFY nobody-here	550 5.1.1 <nobody-here>: Recipient address rejected: User unknown in local recipient table
EXPN list	500 5.5.2 Error: command not recognized
TURN	500 5.5.2 Error: command not recognized
WIZ	500 5.5.2 Error: command not recognized
DEBUG	500 5.5.2 Error: command not recognized
AUTH PLAIN xx	503 5.5.1 Error: authentication not enabled
HELP	500 5.5.2 Error: command not recognized
NOOP x	250 2.0.0 Ok
GET / HTTP/1.0	221 2.7.0 Error: I can break rules, too. Goodbye.
T
start
# From an address that mynetworks does not hold.
{ echo 'EHLO stranger'; cut -f 1 /tmp/wanted; } | smtp 25 192.168.4.10 >/tmp/said || true
paste <(cut -f 1 /tmp/wanted) <(tr -d '\r' </tmp/said | sed '1,/^250 /d') >/tmp/got
diff /tmp/wanted /tmp/got >&2 || fail "not as the reference says"
