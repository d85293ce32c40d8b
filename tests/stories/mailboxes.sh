# A maildir by home_mailbox; mail for procmail where it is installed.
. /run/box/machine/story.sh
postconf -e 'home_mailbox = Maildir/'
start
letter "in a maildir" toto
wait_for "the maildir" bash -c 'grep -rq "^Subject: in a maildir" /home/toto/Maildir/new'
same "$(stat -c '%U %a' /home/toto/Maildir/new)" "toto 700"
same "$(ls /home/toto/Maildir/tmp | wc -l)" 0
expect "$(ls /home/toto/Maildir/new)" '^[0-9]+\.V[0-9a-f]+I[0-9a-f]+M[0-9]+\.'
expect "$(head -1 /home/toto/Maildir/new/*)" '^Return-Path: <eleve@srvdmz'
stop
postconf -X home_mailbox
command -v procmail >/dev/null || skip "the half with procmail: it is not installed"
postconf -e 'mailbox_command = procmail -a "$EXTENSION"'
printf ':0:\n* ^Subject:.*sorted\n/home/titi/sorted\n' >/home/titi/.procmailrc
chown titi: /home/titi/.procmailrc
start
letter "to be sorted" titi
wait_for "the sorted" grep -q '^Subject: to be sorted' /home/titi/sorted
letter "plain" titi+ext
wait_for "the plain" in_box titi '^Subject: plain'
wait_for "the log" logged 'postfix/local\[[0-9]+\]: [0-9A-F]+: to=<titi\+ext@srvdmz.virtualux.fr>, orig_to=<titi\+ext>, relay=local, delay=.*dsn=2.0.0, status=sent \(delivered to command: procmail -a "\$EXTENSION"\)'
printf 'EXITCODE=75\n:0\n/dev/null\n' >/home/titi/.procmailrc
letter "come back" titi
wait_for "a deferral" logged 'dsn=4.3.0, status=deferred \(temporary failure'
