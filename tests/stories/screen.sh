# postscreen at port 25: strangers pass once and are known after a restart; the session behind it has the settings of the
# "pass" line; clients too many are told so; a reload leaves those who wait alone.
. /run/box/machine/story.sh
# Nobody here is a friend.
postconf -e 'mynetworks = 192.0.2.0/24' 'postscreen_greet_wait = 2s' 'postscreen_greet_action = enforce'
sed -i -E '/^smtp +inet /d' /etc/postfix/master.cf
cat >>/etc/postfix/master.cf <<'C'
smtp inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
  -o { smtpd_banner = $myhostname ESMTP behind }
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
127.0.0.1:2526 inet n - n - 1 postscreen
  -o postscreen_cache_map= -o postscreen_greet_wait=10s -o postscreen_client_connection_count_limit=2
127.0.0.1:2527 inet n - n - 1 postscreen
  -o postscreen_cache_map= -o postscreen_greet_wait=10s -o postscreen_pre_queue_limit=10
127.0.0.1:2528 inet n - n - 1 postscreen
  -o postscreen_cache_map= -o postscreen_access_list=static:permit -o smtpd_service_name=absent
127.0.0.1:2529 inet n - n - 1 postscreen
  -o postscreen_cache_map= -o postscreen_greet_wait=4s
C
start
send() { printf '%s\n' 'EHLO stranger' 'MAIL FROM:<a@b.example>' 'RCPT TO:<toto@srvdmz.virtualux.fr>' DATA "R Subject: $1\\r\\n\\r\\nx\\r\\n" . QUIT | smtp 25; }
said=$(send first)
expect "$said" '^220-srvdmz.virtualux.fr ESMTP'
expect "$said" '^220 srvdmz.virtualux.fr ESMTP behind'
expect "$said" '^250 2.0.0 Ok: queued as'
wait_for "the first letter" in_box toto '^Subject: first$'
expect "$(cat $LOG)" 'postfix/postscreen\[[0-9]+\]: CONNECT from \[127.0.0.1\]:[0-9]+ to \[127.0.0.1\]:25$'
expect "$(cat $LOG)" 'postfix/postscreen\[[0-9]+\]: PASS NEW \[127.0.0.1\]:[0-9]+$'
expect "$(cat $LOG)" 'postfix/smtpd\[[0-9]+\]: [0-9A-Za-z]+: client='
# What was learnt outlives the process.
stop
start
said=$(send second)
expect_not "$said" '^220-'
expect "$said" '^250 2.0.0 Ok: queued as'
wait_for "the second letter" in_box toto '^Subject: second$'
expect "$(cat $LOG)" 'postfix/postscreen\[[0-9]+\]: PASS OLD \[127.0.0.1\]:[0-9]+$'
same "$(count_in $LOG 'PASS NEW')" 1
# line FD: the next line that a connection brings.
line() { local text; IFS= read -r -t 20 -u "$1" text || fail "no line"; echo "${text%$'\r'}"; }
# Two at a time, and no third one.
exec 5<>/dev/tcp/127.0.0.1/2526; expect "$(line 5)" '^220-'
exec 6<>/dev/tcp/127.0.0.1/2526; expect "$(line 6)" '^220-'
exec 7<>/dev/tcp/127.0.0.1/2526; same "$(line 7)" '421 4.7.0 Error: too many connections'
exec 5>&- 6>&- 7>&-
wait_for "the refusal" logged 'NOQUEUE: reject: CONNECT from \[127.0.0.1\]:[0-9]+: too many connections$'
wait_for "a hang-up" logged 'HANGUP after [0-9.]+ from \[127.0.0.1\]:[0-9]+ in tests before SMTP handshake$'
# Nine are a crowd, ten are too many; less time is left to the crowd.
all=()
for n in {1..9}; do exec {fd}<>/dev/tcp/127.0.0.1/2527; all+=("$fd"); expect "$(line "$fd")" '^220-'; done
wait_for "stress" logged 'entering STRESS mode with 9 connections$'
exec 7<>/dev/tcp/127.0.0.1/2527; same "$(line 7)" '421 4.3.2 All screening ports are busy'
exec 7>&-
for fd in "${all[@]}"; do exec {fd}>&-; done
wait_for "rest" logged 'leaving STRESS mode with 7 connections$'
# Nobody to pass a client on to.
exec 7<>/dev/tcp/127.0.0.1/2528; same "$(line 7)" '421 4.3.2 All server ports are busy'
exec 7>&-
wait_for "the warning" logged 'warning: cannot connect to service private/absent: No such file or directory$'
# A client that waits is not forgotten by a reload.
exec 7<>/dev/tcp/127.0.0.1/2529; expect "$(line 7)" '^220-'
status 0 postfix reload
expect "$(line 7)" '^220 srvdmz.virtualux.fr ESMTP behind'
printf 'QUIT\r\n' >&7; same "$(line 7)" '221 2.0.0 Bye'
if ours; then
  status 0 pflogsumm $LOG
  expect "$OUT" '^ +2 +received'
fi
