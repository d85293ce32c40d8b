# Commands from aliases and .forward (faults.md, C): what they see, whom they run as, what their end means; and mail that
# goes round.
. /run/box/machine/story.sh
need pgrep
cat >/etc/aliases <<'A'
postmaster: root
who: "|id -un >/var/tmp/who; env | sort >>/var/tmp/who"
extension: "|printf '%s' \"$EXTENSION\" >/var/tmp/extension"
later: "|exit 75"
forbidden: "|exit 77"
odd: "|exit 1"
killed: "|kill -9 $$"
chatty: "|yes chatter | head -c 2000000; exit 69"
slow: "|sleep 60"
gone: "|/usr/local/bin/nosuch -a x"
dies: "|/usr/local/bin/dies"
spoken: "|echo one; echo two; exit 67"
circle: circle2
circle2: circle
A
printf '#!/bin/sh\nkill -9 $$\n' >/usr/local/bin/dies
chmod 755 /usr/local/bin/dies
newaliases
mkdir -m 1777 -p /var/tmp
cat >/etc/postfix/commands <<'T'
toto printf %s "$EXTENSION|$SENDER|$RECIPIENT" >/home/toto/seen
T
postconf -e 'command_time_limit = 2s' 'mailbox_command_maps = texthash:/etc/postfix/commands'
start
# What the shell could make of them is "_" by the time that it sees them.
smtp 25 >/dev/null <<'S'
EHLO x
MAIL FROM:<a`touch/tmp/pwned`$(b)@example.org>
RCPT TO:<toto+`touch;/tmp/pwned`|x@srvdmz.virtualux.fr>
RCPT TO:<toto+a|b`c$d@srvdmz.virtualux.fr>
DATA
R Subject: quoted\r\n\r\nHello\r\n.\r\n
?
QUIT
S
wait_for "the mailbox command" test -s /home/toto/seen
expect "$(cat /home/toto/seen)" '^a_b_c_d\|'
[[ ! -e /tmp/pwned ]] || fail "an address ran"
letter "who" who
wait_for "the command" grep -q '^USER=' /var/tmp/who
expect "$(head -1 /var/tmp/who)" '^nobody$'
same "$(sed 1d /var/tmp/who | cut -d= -f1 | grep -vE '^(TZ|SHLVL|_)$' | tr '\n' ' ')" 'DOMAIN LANG LOCAL LOGNAME MAIL_CONFIG ORIGINAL_RECIPIENT PATH PWD RECIPIENT SENDER USER '
expect "$(cat /var/tmp/who)" '^PATH=/usr/bin:/bin$'
says() { # says RECIPIENT PATTERN
  letter "$1" -f '' $1
  wait_for "$1" logged "to=<$1[0-9]*@srvdmz.virtualux.fr>, orig_to=<$1>, relay=local, .*$2"
}
says later 'dsn=4.3.0, status=deferred \(temporary failure\)'
says forbidden 'dsn=5.7.0, status=bounced \(permission denied\)'
says odd 'dsn=5.3.0, status=bounced \(Command died with status 1: "exit 1"\)'
says killed 'dsn=4.3.0, status=deferred \(Command died with signal 9: "kill -9 \$\$"\)'
says chatty 'dsn=5.3.0, status=bounced \(service unavailable. Command output: chatter'
says slow 'dsn=5.3.0, status=bounced \(Command time limit exceeded: "sleep 60"\)'
# A program that is being replaced, or that the system killed, costs no mail: no shell stands between.
says gone 'dsn=4.3.0, status=deferred \(temporary failure. Command output: local: fatal: execvp /usr/local/bin/nosuch: No such file or directory'
says dies 'dsn=4.3.0, status=deferred \(Command died with signal 9: "/usr/local/bin/dies"\)'
# What the notice says of a command.
letter words spoken
wait_for "the notice" in_box eleve '^Diagnostic-Code: x-unix; one two$'
expect "$(cat /var/mail/eleve)" '^<spoken@srvdmz.virtualux.fr> \(expanded from <spoken>\): user unknown. Command'
letter status forbidden
wait_for "the notice" in_box eleve '^Diagnostic-Code: x-unix; permission denied$'
letter time slow
wait_for "the notice" in_box eleve '^Diagnostic-Code: x-unix; internal software error$'
says circle 'dsn=5.4.6, status=bounced \(alias database loop for circle2?\)'
same "$(pgrep -c -x sleep || true)" 0
# Mail that went through too many hands, or through these before.
D=$({ printf 'EHLO x\nMAIL FROM:<a@example.org>\nRCPT TO:<titi@srvdmz.virtualux.fr>\nDATA\nR '
  for n in {1..60}; do printf 'Received: by hop%s\\r\\n' $n; done; printf '\\r\\nround\\r\\n.\\r\\n\n?\nQUIT\n'; } | smtp 25)
expect "$D" '^554 5.4.0 Error: too many hops$'
D=$(smtp 25 <<'S'
EHLO x
MAIL FROM:<eleve@srvdmz.virtualux.fr>
RCPT TO:<titi@srvdmz.virtualux.fr>
DATA
R Delivered-To: titi@srvdmz.virtualux.fr\r\nSubject: back again\r\n\r\nHello\r\n.\r\n
?
QUIT
S
)
wait_for "the loop" logged 'to=<titi@srvdmz.virtualux.fr>, relay=local, .*dsn=5.4.6, status=bounced \(mail forwarding loop for titi@srvdmz.virtualux.fr\)'
