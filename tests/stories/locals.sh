# What local users may try, files that are damaged, locks that others hold (faults.md: C21, C22, C31, D1, D4, D5, D7, F10, F20).
. /run/box/machine/story.sh
need pgrep; need script
postconf -e 'deliver_lock_attempts = 2' 'deliver_lock_delay = 1s' 'stale_lock_time = 4s' 'minimal_backoff_time = 1s' 'queue_run_delay = 1s'
start
# postdrop takes a stream of records and nothing else.
for junk in 'garbage' 'T\377\377\377\377\377'; do
  ! printf "$junk" | as eleve postdrop >/dev/null 2>&1 || fail "postdrop took $junk"
done
for junk in '' 'M\000N\000' 'S\003a\012b'; do printf "$junk" | as eleve postdrop >/dev/null 2>&1 || true; done
same "$(find $Q/maildrop -type f | wc -l)" 0
# Without standard files nothing crashes.
as eleve bash -c 'sendmail toto <&- >&- 2>&-; (($? < 128))' || fail "a crash"
as eleve bash -c 'mailq <&- >&- 2>&-; (($? < 128))' || fail "a crash"
# Another configuration is for root, or where main.cf allows it.
cp -r /etc/postfix /tmp/other; chmod -R a+rX /tmp/other
! letter_there=$(echo hi | as eleve env MAIL_CONFIG=/tmp/other sendmail toto 2>&1) || fail "another's configuration was taken"
! ours || expect "$letter_there" 'unauthorized configuration directory name: /tmp/other'
status 1 as eleve postsuper -d ALL
! ours || expect "$OUT" 'fatal: use of this command is reserved for the superuser'
for command in 'postfix stop' 'postfix reload'; do ! as eleve $command >/dev/null 2>&1 || fail "eleve: $command"; done
# One log line is one line, whatever a client calls itself.
printf 'EHLO a\033[31mb\r\nMAIL FROM:<a@b>\r\nRCPT TO:<x\033]0;p\007@example.com>\r\nQUIT\r\n' >/dev/tcp/127.0.0.1/25 || true
smtp 25 >/dev/null <<'S'
HELO x
MAIL FROM:<"a\rb"@example.org>
RCPT TO:<"c\td"@srvdmz.virtualux.fr>
QUIT
S
wait_for "the session" logged 'disconnect from'
! LC_ALL=C grep -q '[^[:print:]	]' $LOG || fail "a control character in the log"
# A lock that another program holds defers; an old one that nobody holds is taken away.
touch /var/mail/toto.lock
letter "behind a lock" toto
wait_for "the deferral" logged 'to=<toto@srvdmz.virtualux.fr>, orig_to=<toto>, relay=local, .*dsn=4.2.0, status=deferred \(cannot update mailbox /var/mail/toto for user toto. unable to create lock file /var/mail/toto.lock: File exists\)'
for n in {1..20}; do ! in_box toto '^Subject: behind a lock' 2>/dev/null || break; postqueue -f; sleep 0.5; done
wait_for "the letter" in_box toto '^Subject: behind a lock'
[[ ! -e /var/mail/toto.lock ]] || fail "the lock is still there"
stop
# A message whose file was cut is set aside, and holds nobody up.
letter "to be cut" toto 2>/dev/null
start
wait_for "it" in_box toto '^Subject: to be cut'
stop
postconf -e 'defer_transports = local'
start
letter "damaged" toto
letter "whole" toto
damaged() { for f in $(find $Q/deferred -type f); do ! grep -q 'Subject: damaged' "$f" || echo "$f"; done; }
wait_for "both" bash -c "(( \$(find $Q/deferred -type f | wc -l) == 2 ))"
stop
file=$(damaged)
truncate -s -30 "$file"
postconf -X defer_transports
start
postqueue -f
wait_for "the whole one" in_box toto '^Subject: whole'
wait_for "the damaged one set aside" test -e "$Q/corrupt/${file##*/}"
expect "$(cat $LOG)" "postfix/qmgr\[[0-9]+\]: warning: .*${file##*/}"
! in_box toto '^Subject: damaged' || fail "a damaged message was delivered"
# A spool with the wrong owners is told.
chown eleve $Q/saved
status 0 script -qefc 'postfix check' /dev/null
expect "$OUT" 'postfix/postfix-script: warning: not owned by postfix: /var/spool/postfix/saved'

# comsat hears of new mail: whose, and where in the mailbox it begins.
perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Proto => "udp", LocalAddr => "127.0.0.1", LocalPort => 512) or die; open $r, ">", "/tmp/ready"; close $r; alarm 60; $s->recv($m, 100); print $m' >/tmp/biff &
wait_for "a comsat" test -e /tmp/ready
before=$(stat -c %s /var/mail/titi 2>/dev/null || echo 0)
letter "for comsat" titi
wait_for "the letter" in_box titi '^Subject: for comsat'
wait_for "the word" test -s /tmp/biff
same "$(cat /tmp/biff)" "titi@$before"
