# A queue disk and a mailbox disk that run full: refused while it can be said, deferred where it was promised, nothing
# lost, and no need to restart.
. /run/box/machine/story.sh
# Small disks of their own, with what is there now.
on_small_disk() {
  cp -a "$1" /tmp/was
  mount -t tmpfs -o size=$2 small "$1"
  cp -a /tmp/was/. "$1"/
  rm -rf /tmp/was
}
fill() { dd if=/dev/zero of="$1/ballast" bs=4k >/dev/null 2>&1 || true; }
on_small_disk $Q 32m,nr_inodes=2000
chown root: $Q; chmod 755 $Q
start
letter "before" toto
wait_for "the first" in_box toto '^Subject: before'
knock() { printf 'EHLO x\nMAIL FROM:<a@example.org>\nQUIT\n' | smtp 25; }
expect "$(knock)" '^250 2.1.0 Ok'
# Less than one and a half times the largest message: no more by SMTP, while local users may still try.
dd if=/dev/zero of=$Q/ballast bs=1M count=20 2>/dev/null
expect "$(knock)" '^452 4.3.1 Insufficient system storage'
wait_for "the warning" logged 'postfix/smtpd\[[0-9]+\]: warning: not enough free space in mail queue: [0-9]+ bytes < 1.5\*message size limit'
letter "tight" toto
wait_for "the tight one" in_box toto '^Subject: tight'
# The room of what is delivered comes back only when it is removed.
wait_for "an empty queue" queue_empty
fill $Q
status 75 letter "refused" toto
expect "$(knock)" '^452 4.3.1 Insufficient system storage'
wait_for "an empty queue" queue_empty
rm $Q/ballast
expect "$(knock)" '^250 2.1.0 Ok'
letter "after" toto
wait_for "the last" in_box toto '^Subject: after'
same "$(grep ^Subject: /var/mail/toto)" 'Subject: before
Subject: tight
Subject: after'
# No room for one more name, where the reference tries for ever.
if ours; then
  mkdir $Q/names
  (cd $Q/names; seq 3000 | xargs touch 2>/dev/null) || true
  expect "$(knock)" '^452 4.3.1 Insufficient system storage'
  status 75 timeout 10 bash -c '. /run/box/machine/story.sh; letter "nameless" toto'
  rm -r $Q/names
  expect "$(knock)" '^250 2.1.0 Ok'
fi
# The mailboxes' disk.
stop
on_small_disk /var/mail 1m
chgrp mail /var/mail; chmod 2775 /var/mail
fill /var/mail
before=$(cksum </var/mail/toto)
start
{ printf "Subject: for a full disk\n\n"; seq 4000; } | as eleve sendmail toto
wait_for "the deferral" logged 'to=<toto@srvdmz.virtualux.fr>, orig_to=<toto>, relay=local, .*dsn=4.3.0, status=deferred \(cannot update mailbox /var/mail/toto for user toto. .*: No space left on device\)'
same "$(cksum </var/mail/toto)" "$before"
rm /var/mail/ballast
postqueue -f
wait_for "the delivery" in_box toto '^Subject: for a full disk'
wait_for "an empty queue" queue_empty
same "$(count_in /var/mail/toto '^From ')" 4
