# The handout's domain step: srvdmz with the handout's own main.cf behind the zone's MX, and mail to it from a second
# host that knows nothing but the DNS.
. /run/box/machine/story.sh
need nsenter
. /run/box/machine/dns.sh
. /run/box/machine/host.sh
second_host client 192.168.4.10 192.168.4.20
name_server 192.168.4.10
zone virtualux.fr <<'Z'
srvdmz IN A 192.168.4.10
client IN A 192.168.4.20
@ IN MX 10 srvdmz.virtualux.fr.
smtp IN CNAME srvdmz
pop IN CNAME srvdmz
Z
zone example.org <<'Z'
@ IN MX 10 mx
mx IN A 192.168.4.10
Z
name_server_start
printf '127.0.0.1 localhost\n' >/etc/hosts
printf 'postmaster: root\nroot: eleve\n' >/etc/aliases
cat >/etc/postfix/main.cf <<'C'
compatibility_level = 3.6
myorigin = /etc/mailname
relay_domains = $mydestination
mydestination = $myhostname,localhost.virtualux.fr,localhost,$mydomain
myhostname = srvdmz.$mydomain
mydomain = virtualux.fr
relayhost = $mydomain
mynetworks = 192.168.4.0/24 127.0.0.0/8
inet_interfaces = $myhostname, localhost
inet_protocols = ipv4
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
C
[[ -e /run/rsyslogd.pid ]] || echo 'maillog_file = /var/log/mail.log' >>/etc/postfix/main.cf
newaliases
status 0 postfix check
start
same "$(postconf -h relayhost inet_interfaces mydestination)" '$mydomain
$myhostname, localhost
$myhostname,localhost.virtualux.fr,localhost,$mydomain'
# It listens where the handout says, for the second host too.
expect "$(there perl $M/smtp.pl 25 192.168.4.10 <<<QUIT)" '^220 srvdmz.virtualux.fr ESMTP Postfix'
# Local mail does not take the relay.
letter "local" toto titi@virtualux.fr root@virtualux.fr
wait_for "the local mail" in_box toto '^Subject: local'
wait_for "the domain's mail" in_box titi '^Subject: local'
wait_for "root's mail" in_box eleve '^Subject: local'

# The second host has no relay host: it asks the DNS.
there cp /dev/stdin /etc/resolv.conf </etc/resolv.conf
there bash -c 'cat >/etc/postfix/main.cf; printf "127.0.0.1 localhost\n" >/etc/hosts; echo client.virtualux.fr >/etc/mailname; newaliases; postfix start >/tmp/there.out 2>&1 || { cat /tmp/there.out >&2; exit 1; }' <<'C'
compatibility_level = 3.6
myhostname = client.virtualux.fr
myorigin = /etc/mailname
mydestination = $myhostname, localhost
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
maillog_file = /var/log/mail.log
C
there_logged() { there grep -Eq -- "$1" /var/log/mail.log; }
trap '[[ $? = 0 ]] || { echo "--- log there" >&2; there tail -n 40 /var/log/mail.log >&2; }' EXIT
printf 'Subject: by MX\n\nFrom afar.\n' | there setpriv --reuid=eleve --regid=eleve --init-groups sendmail toto@virtualux.fr
wait_for "the delivery by MX" there_logged 'postfix/smtp\[[0-9]+\]: [0-9A-F]+: to=<toto@virtualux.fr>, relay=srvdmz.virtualux.fr\[192.168.4.10\]:25, delay=[0-9.]+, delays=[0-9./]+, dsn=2.0.0, status=sent \(250 2.0.0 Ok: queued as [0-9A-F]+\)'
wait_for "the mail" in_box toto '^Subject: by MX'
wait_for "an empty queue" queue_empty
same "$(count_in /var/mail/toto '^Subject: by MX')" 1
expect "$(cat /var/mail/toto)" '^Received: from client.virtualux.fr \(.*\[192\.168\.4\.20\]\)$'
expect "$(cat /var/mail/toto)" '^From eleve@client.virtualux.fr '
wait_for "the server's log" logged 'postfix/smtpd\[[0-9]+\]: connect from [^ ]*\[192\.168\.4\.20\]'
# smtp.virtualux.fr and pop.virtualux.fr are other names of the same host.
there bash -c 'postconf -e "relayhost = [smtp.virtualux.fr]" && postfix reload >/dev/null 2>&1'
printf 'Subject: by the alias\n\nHello\n' | there setpriv --reuid=toto --regid=toto --init-groups sendmail titi@virtualux.fr
wait_for "the delivery by CNAME" there_logged 'to=<titi@virtualux.fr>, relay=smtp.virtualux.fr\[192.168.4.10\]:25, .*dsn=2.0.0, status=sent'
wait_for "the mail" in_box titi '^Subject: by the alias'
# Nobody there: told at the door, and returned.
printf 'Subject: astray\n\nHello\n' | there setpriv --reuid=eleve --regid=eleve --init-groups sendmail nobody-here@virtualux.fr
wait_for "the refusal" there_logged 'to=<nobody-here@virtualux.fr>, relay=smtp.virtualux.fr\[192.168.4.10\]:25, .*dsn=5.1.1, status=bounced \(host smtp.virtualux.fr\[192.168.4.10\] said: 550 5.1.1 <nobody-here@virtualux.fr>: Recipient address rejected: User unknown in local recipient table \(in reply to RCPT TO command\)\)'
wait_for "the notice" there grep -q '^Final-Recipient: rfc822; nobody-here@virtualux.fr' /var/mail/eleve
# The handout's relay host is the domain whose best mail host we are: mail for elsewhere waits, and does not go round.
letter "abroad" someone@example.org
wait_for "the loop's end" logged 'postfix/smtp\[[0-9]+\]: [0-9A-F]+: to=<someone@example.org>, relay=none, delay=.*, dsn=4.3.5, status=deferred \(mail for virtualux.fr loops back to myself\)'
expect "$(cat $LOG)" 'postfix/smtp\[[0-9]+\]: warning: relayhost configuration problem'
same "$(grep -c 'connect from [^ ]*\[192\.168\.4\.10\]' $LOG || true)" 0
