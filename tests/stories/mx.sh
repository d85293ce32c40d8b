# Mail by MX: which hosts are tried, in which order, and what is said when none can be. Each row of the table at the end
# is a domain and what the log says of mail to it.
. /run/box/machine/story.sh
. /run/box/machine/dns.sh
name_server 127.0.0.1
zone virtualux.fr <<'Z'
srvdmz IN A 127.0.0.1
Z
zone test <<'Z'
mx1 IN A 127.0.0.21
mx2 IN A 127.0.0.22
down IN A 127.0.0.23
later IN A 127.0.0.24
refuse IN A 127.0.0.25
g421 IN A 127.0.0.26
g554 IN A 127.0.0.27
dropper IN A 127.0.0.28
dataerr IN A 127.0.0.29
two IN MX 10 mx1
two IN MX 20 mx2
failover IN MX 10 down
failover IN MX 20 mx2
alldown IN MX 10 down
null IN MX 0 .
alias IN CNAME two
mxalias IN MX 10 cnamehost
cnamehost IN CNAME mx1
me IN MX 10 srvdmz.virtualux.fr.
backup IN MX 10 down
backup IN MX 20 srvdmz.virtualux.fr.
backup IN MX 30 mx2
nomx IN A 127.0.0.21
cnomx IN CNAME nomx
nothing IN TXT "hello"
mxnohost IN MX 10 nonexist
mxnohost2 IN MX 10 nonexist
mxnohost2 IN MX 20 mx2
mxnodata IN MX 10 nothing
mxserv IN MX 10 host.unreadable.test.
mxserv2 IN MX 10 host.unreadable.test.
mxserv2 IN MX 20 mx2
later2 IN MX 10 later
later2 IN MX 20 mx2
refuse2 IN MX 10 refuse
refuse2 IN MX 20 mx2
g421x IN MX 10 g421
g421x IN MX 20 mx2
g554x IN MX 10 g554
g554x IN MX 20 mx2
g554only IN MX 10 g554
g421only IN MX 10 g421
drop2 IN MX 10 dropper
drop2 IN MX 20 mx2
data2 IN MX 10 dataerr
data2 IN MX 20 mx2
mxip IN MX 10 127.0.0.21.
six IN AAAA ::1
mxsix IN MX 10 six
both IN AAAA ::1
both IN A 127.0.0.23
selfa IN A 127.0.0.1
dangling IN CNAME nowhere
softhard IN MX 10 host.unreadable.test.
softhard IN MX 20 nonexist
hardsoft IN MX 10 nonexist
hardsoft IN MX 20 host.unreadable.test.
noprimary IN MX 10 nonexist
noprimary IN MX 20 srvdmz.virtualux.fr.
h554 IN A 127.0.0.30
h554x IN MX 10 h554
h554x IN MX 20 mx2
h554only IN MX 10 h554
h450 IN A 127.0.0.31
h450x IN MX 10 h450
h450x IN MX 20 mx2
h450only IN MX 10 h450
m550 IN A 127.0.0.32
m550x IN MX 10 m550
m550x IN MX 20 mx2
three IN MX 10 g421
three IN MX 20 later
three IN MX 30 mx1
laterdown IN MX 10 later
laterdown IN MX 20 down
downlater IN MX 10 down
downlater IN MX 20 later
d554 IN A 127.0.0.34
d554x IN MX 10 d554
d554x IN MX 20 mx2
drdata IN A 127.0.0.35
drdatax IN MX 10 drdata
drdatax IN MX 20 mx2
drend IN A 127.0.0.36
drendx IN MX 10 drend
drendx IN MX 20 mx2
drgreet IN A 127.0.0.37
drgreetx IN MX 10 drgreet
drgreetx IN MX 20 mx2
drhello IN A 127.0.0.38
drhellox IN MX 10 drhello
drhellox IN MX 20 mx2
Z
name_server_start
postconf -e 'inet_interfaces = 127.0.0.1' 'mydomain = virtualux.fr'
host() { perl $M/sink.pl 25 /tmp/sunk "$@" </dev/null >/dev/null 2>&1 & wait_for "the host $1" bash -c "exec 3<>/dev/tcp/$1/25"; }
host 127.0.0.21 'end=250 2.0.0 Ok: mx1'
host 127.0.0.22 'end=250 2.0.0 Ok: mx2'
host 127.0.0.24 'rcpt=450 4.2.0 come later'
host 127.0.0.25 'rcpt=550 5.1.1 nobody'
host 127.0.0.26 'greeting=421 4.3.2 busy'
host 127.0.0.27 'greeting=554 5.3.2 no mail here'
host 127.0.0.28 'mail=drop'
host 127.0.0.29 'end=451 4.3.0 disk full'
host 127.0.0.30 'hello=554 5.7.1 go away'
host 127.0.0.31 'hello=450 4.7.1 not now'
host 127.0.0.32 'mail=550 5.7.1 not you'
host 127.0.0.34 'data=554 5.6.0 no data'
host 127.0.0.35 'data=drop'
host 127.0.0.36 'end=drop'
host 127.0.0.37 'greeting=drop'
host 127.0.0.38 'hello=drop'
cat >/etc/postfix/transport <<'T'
t1.test smtp:[mx1.test]
t2.test smtp:[127.0.0.22]
t3.test smtp:[nonexist.test]
t4.test smtp:[nothing.test]
t5.test smtp:[unreadable.test]
t6.test smtp:[selfa.test]
t7.test smtp:[127.0.0.1]
t10.test smtp:[six.test]
t14.test smtp:[selfa.test]:2500
t15.test smtp:me.test:2500
t18.test smtp:two.test, mx2.test
t20.test smtp:
t21.test :mx2.test
t22.test smtp:[::1]
T
postmap /etc/postfix/transport
postconf -e 'transport_maps = hash:/etc/postfix/transport'
start
# What the log says, each recipient on a line.
told() { sed -nE 's/^.* postfix\/[a-z]+\[[0-9]+\]: [0-9A-F]+: to=<x@([^>]*)>, relay=([^,]*), delay=.*, dsn=([^,]*), status=[a-z]+ \((.*)\)$/\1: \2 \3 \4/p' $LOG | LC_ALL=C sort; }
every() { (($(told | wc -l) >= $(wc -l </tmp/wanted))); }
LC_ALL=C sort >/tmp/wanted <<'W'
-bad.test: none 5.1.3 bad address syntax
[127.0.0.22]: 127.0.0.22[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
[dangling.test]: none 5.1.3 bad address syntax
alias.test: mx1.test[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
alldown.test: none 4.4.1 connect to down.test[127.0.0.23]:25: Connection refused
backup.test: none 4.4.1 connect to down.test[127.0.0.23]:25: Connection refused
bad..test: none 5.1.3 bad address syntax
both.test: none 4.4.1 connect to both.test[127.0.0.23]:25: Connection refused
cnomx.test: cnomx.test[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
d554x.test: d554.test[127.0.0.34]:25 5.6.0 host d554.test[127.0.0.34] said: 554 5.6.0 no data (in reply to DATA command)
dangling.test: none 5.4.4 Host or domain name not found. Name service error for name=dangling.test type=A: Host not found
data2.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
downlater.test: later.test[127.0.0.24]:25 4.2.0 host later.test[127.0.0.24] said: 450 4.2.0 come later (in reply to RCPT TO command)
drdatax.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
drendx.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
drgreetx.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
drhellox.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
drop2.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
failover.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
g421only.test: g421.test[127.0.0.26]:25 4.3.2 host g421.test[127.0.0.26] refused to talk to me: 421 4.3.2 busy
g421x.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
g554only.test: g554.test[127.0.0.27]:25 4.3.2 host g554.test[127.0.0.27] refused to talk to me: 554 5.3.2 no mail here
g554x.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
h450only.test: h450.test[127.0.0.31]:25 4.7.1 host h450.test[127.0.0.31] refused to talk to me: 450 4.7.1 not now
h450x.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
h554only.test: h554.test[127.0.0.30]:25 5.7.1 host h554.test[127.0.0.30] refused to talk to me: 554 5.7.1 go away
h554x.test: h554.test[127.0.0.30]:25 5.7.1 host h554.test[127.0.0.30] refused to talk to me: 554 5.7.1 go away
hardsoft.test: none 4.4.3 Host or domain name not found. Name service error for name=host.unreadable.test type=A: Host not found, try again
later2.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
laterdown.test: none 4.4.1 connect to down.test[127.0.0.23]:25: Connection refused
m550x.test: m550.test[127.0.0.32]:25 5.7.1 host m550.test[127.0.0.32] said: 550 5.7.1 not you (in reply to MAIL FROM command)
me.test: none 5.4.6 mail for me.test loops back to myself
mxalias.test: cnamehost.test[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
mxip.test: 127.0.0.21[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
mxnodata.test: none 5.4.4 Host or domain name not found. Name service error for name=nothing.test type=A: Host found but no data record of requested type
mxnohost.test: none 5.4.4 Host or domain name not found. Name service error for name=nonexist.test type=A: Host not found
mxnohost2.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
mxserv.test: none 4.4.3 Host or domain name not found. Name service error for name=host.unreadable.test type=A: Host not found, try again
mxserv2.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
mxsix.test: none 5.4.4 Host or domain name not found. Name service error for name=six.test type=A: Host found but no data record of requested type
nomx.test: nomx.test[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
nonexist.test: none 5.4.4 Host or domain name not found. Name service error for name=nonexist.test type=A: Host not found
noprimary.test: none 4.4.4 unable to find primary relay for noprimary.test
nosuch.example: none 5.4.4 Host or domain name not found. Name service error for name=nosuch.example type=A: Host not found
nothing.test: none 5.4.4 Host or domain name not found. Name service error for name=nothing.test type=A: Host found but no data record of requested type
null.test: none 5.1.0 Domain null.test does not accept mail (nullMX)
refuse2.test: refuse.test[127.0.0.25]:25 5.1.1 host refuse.test[127.0.0.25] said: 550 5.1.1 nobody (in reply to RCPT TO command)
selfa.test: none 5.4.6 mail for selfa.test loops back to myself
six.test: none 5.4.4 Host or domain name not found. Name service error for name=six.test type=A: Host found but no data record of requested type
softhard.test: none 4.4.4 Host or domain name not found. Name service error for name=nonexist.test type=A: Host not found
t1.test: mx1.test[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
t10.test: none 5.4.4 Host or domain name not found. Name service error for name=six.test type=A: Host found but no data record of requested type
t14.test: none 4.4.1 connect to selfa.test[127.0.0.1]:2500: Connection refused
t15.test: none 4.4.1 connect to srvdmz.virtualux.fr[127.0.0.1]:2500: Connection refused
t18.test: mx1.test[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
t2.test: 127.0.0.22[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
t20.test: none 5.4.4 Host or domain name not found. Name service error for name=t20.test type=A: Host not found
t21.test: mx2.test[127.0.0.22]:25 2.0.0 250 2.0.0 Ok: mx2
t22.test: none 5.4.4 Name service error for ::1: invalid host or domain name
t3.test: none 5.4.4 Host or domain name not found. Name service error for name=nonexist.test type=A: Host not found
t4.test: none 5.4.4 Host or domain name not found. Name service error for name=nothing.test type=A: Host found but no data record of requested type
t5.test: none 4.4.3 Host or domain name not found. Name service error for name=unreadable.test type=A: Host not found, try again
t6.test: none 5.4.6 mail for selfa.test loops back to myself
t7.test: none 5.4.6 mail for 127.0.0.1 loops back to myself
three.test: mx1.test[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
two.test: mx1.test[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
under_score.test: none 5.4.4 Host or domain name not found. Name service error for name=under_score.test type=A: Host not found
unreadable.test: none 4.4.3 Host or domain name not found. Name service error for name=unreadable.test type=MX: Host not found, try again
W
while IFS= read -r row; do
  echo "Subject: by MX" | as eleve sendmail -f '' "x@${row%%: *}"
done </tmp/wanted
wait_for "every recipient" every
diff /tmp/wanted <(told) >&2 || fail "not as the reference says"
# On the way: hosts that were left for the next one, and what is odd in the zone.
expect "$(cat $LOG)" '[0-9A-F]+: host later.test\[127.0.0.24\] said: 450 4.2.0 come later \(in reply to RCPT TO command\)$'
expect "$(cat $LOG)" '[0-9A-F]+: lost connection with drend.test\[127.0.0.36\] while sending end of data -- message may be sent more than once$'
expect "$(cat $LOG)" 'smtp\[[0-9]+\]: connect to down.test\[127.0.0.23\]:25: Connection refused$'
expect "$(cat $LOG)" 'warning: no MX host for mxnohost.test has a valid address record$'
expect "$(cat $LOG)" 'warning: numeric domain name in resource data of MX record for mxip.test: 127.0.0.21$'
stop
# A destination that cannot be found or reached has a fallback, unless it is our own.
: >$LOG
find $Q/deferred $Q/defer -type f -delete
postconf -e 'smtp_fallback_relay = [mx1.test]'
start
for domain in alldown.test null.test nonexist.test unreadable.test me.test noprimary.test h554only.test; do echo | as eleve sendmail -f '' "x@$domain"; done
LC_ALL=C sort >/tmp/wanted <<'W'
alldown.test: mx1.test[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
h554only.test: h554.test[127.0.0.30]:25 5.7.1 host h554.test[127.0.0.30] refused to talk to me: 554 5.7.1 go away
me.test: none 5.4.6 mail for me.test loops back to myself
nonexist.test: mx1.test[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
noprimary.test: none 4.4.4 unable to find primary relay for noprimary.test
null.test: mx1.test[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
unreadable.test: mx1.test[127.0.0.21]:25 2.0.0 250 2.0.0 Ok: mx1
W
wait_for "every recipient" every
diff /tmp/wanted <(told) >&2 || fail "not as the reference says"
stop
# Without a name server nothing is returned. best_mx_transport takes what would loop.
: >$LOG
find $Q/deferred $Q/defer -type f -delete
postconf -e 'smtp_fallback_relay =' 'best_mx_transport = local'
start
echo | as eleve sendmail -f '' toto@me.test
wait_for "the passing" logged 'smtp\[[0-9]+\]: [0-9A-F]+: passing <toto@me.test> to transport=local'
wait_for "local's delivery" in_box toto '^Delivered-To: toto@me.test'
wait_for "an empty queue" queue_empty
kill $NAMED_PID
wait $NAMED_PID || true
echo 'options timeout:1 attempts:1' >>/etc/resolv.conf
stop
start
echo | as eleve sendmail -f '' x@two.test
wait_for "a deferral" logged 'to=<x@two.test>, relay=none, .*dsn=4.4.3, status=deferred \(Host or domain name not found. Name service error for name=two.test type=MX: Host not found, try again\)'
