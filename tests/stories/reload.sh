# A reload in the middle of a session: the session goes on, new ones follow the new configuration, nobody is turned away.
. /run/box/machine/story.sh
start
# A session that is left open.
exec 5<>/dev/tcp/127.0.0.1/25
said() { local line; while IFS= read -r -t 10 -u 5 line; do [[ $line = ???-* ]] || break; done; echo "${line%$'\r'}"; }
say() { printf '%s\r\n' "$*" >&5; said; }
expect "$(said)" '^220 '
expect "$(say EHLO friend)" '^250 '
expect "$(say "MAIL FROM:<eleve@srvdmz.virtualux.fr>")" '^250 2.1.0 Ok'
expect "$(say "RCPT TO:<toto@srvdmz.virtualux.fr>")" '^250 2.1.5 Ok'
postconf -e 'smtpd_banner = $myhostname ESMTP renewed'
status 0 postfix reload
wait_for "the reload" logged 'postfix/master\[[0-9]+\]: reload -- version 3.7.11, configuration /etc/postfix'
banner() { [[ $(smtp 25 <<<QUIT) = *"ESMTP renewed"* ]]; }
wait_for "the new banner" banner
expect "$(say DATA)" '^354 '
expect "$(say $'Subject: across a reload\r\n\r\nHello\r\n.')" '^250 2.0.0 Ok: queued as'
expect "$(say "MAIL FROM:<eleve@srvdmz.virtualux.fr>")" '^250 2.1.0 Ok'
expect "$(say QUIT)" '^221 2.0.0 Bye'
wait_for "the letter" in_box toto '^Subject: across a reload'
# Reloads under load: each session is served.
: >/tmp/refused
(for n in {1..60}; do
  smtp 25 >/tmp/dialogue <<S || true
EHLO friend
MAIL FROM:<eleve@srvdmz.virtualux.fr>
RCPT TO:<titi@srvdmz.virtualux.fr>
DATA
R Subject: numbered $n.\r\n\r\nHello\r\n.\r\n
?
QUIT
S
  grep -q 'queued as' /tmp/dialogue || echo $n >>/tmp/refused
done) &
load=$!
for n in {1..10}; do postfix reload >/dev/null 2>&1; sleep 0.1; done
wait $load
same "$(cat /tmp/refused)" ""
all() { (($(count_in /var/mail/titi '^Subject: numbered [0-9]+\.$') >= 60)); }
wait_for "all of them" all
wait_for "an empty queue" queue_empty
same "$(grep -Eo '^Subject: numbered [0-9]+' /var/mail/titi | sort -u | wc -l)" 60
same "$(count_in /var/mail/titi '^Subject: numbered')" 60
