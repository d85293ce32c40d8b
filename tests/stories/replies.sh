# What a server says, and what is made of it: other lines for its lines, other codes and words for what became of a
# letter, keywords that are not believed; and from which address we speak.
. /run/box/machine/story.sh
. $M/mx.sh
mx 2501
mx 2502 "rcpt=450 4.2.0 busy"
mx 2503 "rcpt=550 5.1.1 nobody"
mx 2504 "end=250-2.0.0 Ok\\n250 2.5.0 Taken"
mx 2505 "rcpt=550-5.1.1 nobody\\n550 5.7.1 here"
mx 2506 "rcpt=450 5.2.2 in two minds"
start
F=smtp_delivery_status_filter
told() { expect "$LOGGED" "to=<a$LETTERS@x.example>, relay=[^ ]*, .*dsn=$1, status=$2 \($3\)$"; }
# Within sent, and within the rest.
try 2501 "$F=regexp:{{/^2\\.0\\.0 .*taken/ 2.1.0 250 well taken}}"
told 2.1.0 sent '250 well taken'
try 2501 "$F=regexp:{{/^2\\.0\\.0 .*taken/ 2.1.0}}"
told 2.1.0 sent '250 2.0.0 Ok: taken'
try 2501 "$F=regexp:{{/^2\\.0\\.0 .*taken/ 4.1.0 lost}}"
expect "$LOGGED" 'smtp\[[0-9]+\]: warning: smtp_delivery_status_filter: bad status code: 4.1.0 lost$'
told 2.0.0 sent '250 2.0.0 Ok: taken'
try 2502 "$F=regexp:{{/^4(\\.2\\.0.*)/ 5\$\$1 indeed}}"
told 5.2.0 bounced 'host mx.test\[127.0.0.1\] said: 450 4.2.0 busy \(in reply to RCPT TO command\) indeed'
try 2503 "default_delivery_status_filter=regexp:{{/^5(\\.1\\.1.*)/ 4\$\$1 later}}" "$F=\$default_delivery_status_filter"
told 4.1.1 deferred 'host mx.test\[127.0.0.1\] said: 550 5.1.1 nobody \(in reply to RCPT TO command\) later'
try 2503 "$F=regexp:{{/^5(\\.1\\.1.*)/ 2\$\$1 fine}}"
told 5.1.1 bounced 'host mx.test\[127.0.0.1\] said: 550 5.1.1 nobody \(in reply to RCPT TO command\)'
try 2501 "$F=hash:/tmp/nothing"
told 2.0.0 sent '250 2.0.0 Ok: taken'
# Whose code counts.
try 2504 "$F="
told 2.5.0 sent '250-2.0.0 Ok 250 2.5.0 Taken'
try 2505
told 5.7.1 bounced 'host mx.test\[127.0.0.1\] said: 550-5.1.1 nobody 550 5.7.1 here \(in reply to RCPT TO command\)'
try 2506
told 4.0.0 deferred 'host mx.test\[127.0.0.1\] said: 450 5.2.2 in two minds \(in reply to RCPT TO command\)'
# Other lines.
try 2501 "smtp_reply_filter=regexp:{{/^250 2.1.5 Ok/ 450 4.1.0 rather not}}"
expect "$LOGGED" 'smtp\[[0-9]+\]: mx.test\[127.0.0.1\]:2501: replacing server reply "250 2.1.5 Ok" with "450 4.1.0 rather not"$'
told 4.1.0 deferred 'host mx.test\[127.0.0.1\] said: 450 4.1.0 rather not \(in reply to RCPT TO command\)'
try 2501 smtp_reply_filter=hash:/tmp/nothing
told 4.3.0 deferred 'local data error while talking to mx.test\[127.0.0.1\]'
# From which address.
try 2501 smtp_reply_filter= 'smtp_bind_address=[127.0.0.2]' smtp_bind_address6=::1
told 2.0.0 sent '250 2.0.0 Ok: taken'
expect "$(heard 2501)" '^S: open from 127.0.0.2$'
try 2501 smtp_bind_address=192.0.2.1
expect "$LOGGED" 'smtp\[[0-9]+\]: warning: smtp_connect_addr: bind 192.0.2.1: Cannot assign requested address$'
told 2.0.0 sent '250 2.0.0 Ok: taken'
try 2501 smtp_bind_address_enforce=yes
told 4.4.0 deferred 'server configuration error'
# What is offered, and not believed.
try 2501 smtp_bind_address= 'smtp_discard_ehlo_keywords=8bitmime, starttls'
expect "$LOGGED" 'smtp\[[0-9]+\]: discarding EHLO keywords: 8BITMIME STARTTLS$'
try 2501 'smtp_discard_ehlo_keyword_address_maps=regexp:{{/^127\.0\.0\.1$$/ size silent-discard}}'
expect_not "$LOGGED" 'discarding'
told 2.0.0 sent '250 2.0.0 Ok: taken'
try 2501 smtp_never_send_ehlo=yes
same "$(commands 2501)" "HELO MAIL RCPT DATA QUIT "
# The agents of this machine.
postconf -e 'local_delivery_status_filter=regexp:{{/^2.0.0 delivered to mailbox/ 2.1.1 put into a box}}'
postfix reload >/dev/null 2>&1
printf 'Subject: x\n\nx\n' | sendmail toto@srvdmz.virtualux.fr
wait_for "a box" logged 'local\[[0-9]+\]: [0-9A-F]+: to=<toto@srvdmz.virtualux.fr>, relay=local, .*dsn=2.1.1, status=sent \(put into a box\)$'
