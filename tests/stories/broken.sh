# Broken configuration: who meets it says where the fault is, nothing is returned or lost, and what waited goes once it
# is repaired.
. /run/box/machine/story.sh
need script
# The reference is mute where stderr is no terminal.
aloud() { script -qefc "$*" /dev/null </dev/null | tr -d '\r'; }
start
# Until all roles have read what is whole.
letter "begun" toto
wait_for "the first letter" in_box toto '^Subject: begun'
cp /etc/postfix/main.cf /tmp/main.cf
# main.cf: LINE STATUS WORDS
while IFS='|' read -r line words; do
  { cat /tmp/main.cf; echo "$line"; } >/etc/postfix/main.cf
  status 1 aloud postfix check
  expect "$OUT" "$words"
done <<'T'
no equals sign|^postfix: fatal: /etc/postfix/main.cf, line [0-9]+: missing '=' after attribute name: "no equals sign"$
= x|^postfix: fatal: /etc/postfix/main.cf, line [0-9]+: missing attribute name: "= x"$
mydestination = $mydestination|unreasonable macro call nesting: "mydestination"$
mynetworks = ${foo|truncated macro reference: "\$\{foo"$
soft_bounce = perhaps|fatal: bad boolean configuration: soft_bounce = perhaps$
daemon_timeout = 3q|fatal: parameter daemon_timeout: bad time value or unit: 3q$
myhostname = -bad-|fatal: file /etc/postfix/main.cf: parameter myhostname: bad parameter value: -bad-$
inet_interfaces = no.such.host|fatal: config variable inet_interfaces: host not found: no.such.host$
T
# A letter meanwhile stays with whoever sends it.
{ cat /tmp/main.cf; echo 'no equals sign'; } >/etc/postfix/main.cf
status 75 letter "not now" toto
! ours || expect "$OUT" "fatal: /etc/postfix/main.cf, line [0-9]+: missing '=' after attribute name"
cp /tmp/main.cf /etc/postfix/main.cf
status 0 postfix check
# What nothing uses is told by each command, by us once, and is no fault.
{ cat /tmp/main.cf; echo 'foo = 1'; echo 'bar = $nosuch'; } >/etc/postfix/main.cf
for command in check status; do
  status 0 postfix $command
  expect "$OUT" '^/usr/sbin/postconf: warning: /etc/postfix/main.cf: unused parameter: foo=1$'
  expect "$OUT" '^/usr/sbin/postconf: warning: /etc/postfix/main.cf: undefined parameter: nosuch$'
  ! ours || status 0 test "$(echo "$OUT" | grep -c foo=1)" = 1
done
cp /tmp/main.cf /etc/postfix/main.cf
# master.cf
cp /etc/postfix/master.cf /tmp/master.cf
while IFS='|' read -r line words; do
  { cat /tmp/master.cf; echo "$line"; } >/etc/postfix/master.cf
  status 1 aloud postfix check
  expect "$OUT" "$words"
  ! ours || expect "$OUT" "/etc/postfix/master.cf: line [0-9]+: "
done <<'T'
short line|fatal: file /etc/postfix/master.cf: line [0-9]+: bad field count$
x nosuch n - n - - smtpd|invalid type field "nosuch" in "x nosuch n - n - - smtpd"$
x unix z - n - - smtpd|invalid private field "z" in "x unix z - n - - smtpd"$
x unix n - n x - smtpd|invalid wakeup field "x" in "x unix n - n x - smtpd"$
x unix n - n - x smtpd|invalid process_limit field "x" in "x unix n - n - x smtpd"$
T
cp /tmp/master.cf /etc/postfix/master.cf
# aliases
cp /etc/aliases /tmp/aliases
printf 'a b c\nnocolon\nok: toto\n' >>/etc/aliases
status 0 aloud newaliases
expect "$OUT" '^postalias: warning: /etc/aliases, line 2: need name:value pair$'
letter "by a good line" ok
wait_for "the letter" in_box toto '^Subject: by a good line'
rm /etc/aliases
status 1 aloud newaliases
expect "$OUT" '^postalias: fatal: open /etc/aliases: No such file or directory$'
cp /tmp/aliases /etc/aliases
stop
# Tables that are not there: mail waits, and is not returned. WHAT IS SET, WHAT THE LOG SAYS.
knock() { printf 'EHLO x\nMAIL FROM:<a@example.org>\nRCPT TO:<toto@srvdmz.virtualux.fr>\nQUIT\n' | smtp 25; }
waits() {
  local subject=$1 words=$2
  : >$LOG
  start
  letter "$subject" toto
  wait_for "the log" logged "$words"
  expect "$(knock)" '^451 4.3.0 <toto@srvdmz.virtualux.fr>: Temporary lookup failure$'
  ! logged 'status=(sent|bounced)' || fail "$subject was not kept"
  stop
}
arrives() {
  cp /tmp/main.cf /etc/postfix/main.cf
  start
  postqueue -f
  wait_for "$1, after the repair" in_box toto "^Subject: $1"
  wait_for "an empty queue" queue_empty
  stop
}
mv /etc/aliases.db /tmp/
waits "no aliases" 'to=<toto@srvdmz.virtualux.fr>, orig_to=<toto>, relay=local, .*dsn=4.3.0, status=deferred \(alias database unavailable\)'
head -c 12000 /dev/urandom >/etc/aliases.db
waits "hostile aliases" 'to=<toto@srvdmz.virtualux.fr>, orig_to=<toto>, relay=local, .*dsn=4.3.0, status=deferred \(alias database unavailable\)'
mv /tmp/aliases.db /etc/
arrives "no aliases"
in_box toto '^Subject: hostile aliases' || fail "the second letter"
postconf -e 'virtual_alias_maps = hash:/etc/postfix/nosuch'
waits "no virtual" 'postfix/(pickup|cleanup)\[[0-9]+\]: warning: .*/etc/postfix/nosuch.db: No such file or directory'
[[ -n $(find $Q/maildrop -type f) ]] || fail "it left maildrop"
arrives "no virtual"
postconf -e 'virtual_alias_maps = nosuchtype:/etc/x'
waits "no type" 'warning: .*unsupported dictionary type: nosuchtype'
arrives "no type"
postconf -e 'transport_maps = hash:/etc/postfix/nosuch'
waits "no transport" 'postfix/error\[[0-9]+\]: [0-9A-F]+: to=<toto@srvdmz.virtualux.fr>, orig_to=<toto>, relay=none, .*dsn=4.3.0, status=deferred \(address resolver failure\)'
arrives "no transport"
postconf -e 'mydestination = /etc/postfix/nosuch'
waits "no destinations" 'postfix/error\[[0-9]+\]: [0-9A-F]+: to=<.*>, .*relay=none, .*dsn=4.3.0, status=deferred \(address resolver failure\)'
arrives "no destinations"
