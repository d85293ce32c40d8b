# Mailboxes that are no place for mail, and lists that cannot be trusted: nothing is followed, nothing of another's is
# written, and the sender or the log is told in the reference's words. Each row of the table is a recipient and what the
# log says of it.
. /run/box/machine/story.sh
for user in other symlink hardlink directory fifo writable closed roots device openforward foreignforward groupforward secret linkforward dirforward secrets nolist maildir nowhere; do useradd -m -s /bin/bash $user; done
cd /var/mail
echo x >other; chown titi other; chmod 666 other
echo >/tmp/elsewhere; chmod 666 /tmp/elsewhere; ln -s /tmp/elsewhere symlink
touch target; chown hardlink: target; ln target hardlink
mkdir directory; chown directory: directory
mkfifo fifo; chown fifo: fifo
touch writable; chown writable: writable; chmod 666 writable
touch closed; chown closed: closed; chmod 0 closed
touch roots
mknod device c 1 3; chown device device
cd /
forward() { printf '%s\n' "$2" >/home/$1/.forward; chown "$1": /home/$1/.forward; chmod 644 /home/$1/.forward; }
forward openforward titi; chmod 666 /home/openforward/.forward
forward foreignforward titi; chown titi /home/foreignforward/.forward
forward groupforward titi; chmod 664 /home/groupforward/.forward
forward secret /home/toto/secret
ln -s /etc/passwd /home/linkforward/.forward
mkdir /home/dirforward/.forward; chown dirforward: /home/dirforward/.forward
forward secrets :include:/etc/shadow
forward nolist :include:/nonexistent/list
mkdir -m 755 /home/maildir/dir; forward maildir /home/maildir/dir/
forward nowhere /var/nonexistent/file
echo titi >/tmp/open; chmod 666 /tmp/open
mkdir /etc/lists; chmod 700 /etc/lists; echo titi >/etc/lists/roots; chmod 600 /etc/lists/roots
printf '%s\n' 'openlist: :include:/tmp/open' 'dirlist: :include:/tmp' 'rootslist: :include:/etc/lists/roots' >>/etc/aliases
newaliases
start
LC_ALL=C sort >/tmp/wanted <<'W'
closed: 5.2.0 bounced (cannot update mailbox /var/mail/closed for user closed. cannot open file: Permission denied)
device: 5.2.0 bounced (cannot update mailbox /var/mail/device for user device. destination /var/mail/device is not a regular file)
directory: 5.2.0 bounced (cannot update mailbox /var/mail/directory for user directory. cannot open file: Is a directory)
dirforward: 2.0.0 sent (delivered to mailbox)
dirlist: 5.3.5 bounced (mail system configuration error)
fifo: 5.2.0 bounced (cannot update mailbox /var/mail/fifo for user fifo. cannot open file: No such device or address)
foreignforward: 2.0.0 sent (delivered to mailbox)
groupforward: 2.0.0 sent (forwarded)
hardlink: 5.2.0 bounced (cannot update mailbox /var/mail/hardlink for user hardlink. file has 2 hard links)
linkforward: 2.0.0 sent (delivered to mailbox)
maildir: 5.2.0 bounced (maildir delivery failed: create maildir file /home/maildir/dir/tmp/: Permission denied)
nolist: 5.3.5 bounced (mail system configuration error)
nowhere: 5.2.0 bounced (cannot append message to file /var/nonexistent/file: cannot create file exclusively: No such file or directory)
openforward: 2.0.0 sent (delivered to mailbox)
openlist: 5.3.5 bounced (mail system configuration error)
other: 4.2.0 deferred (cannot update mailbox /var/mail/other for user other. destination /var/mail/other is not owned by recipient)
roots: 5.2.0 bounced (cannot update mailbox /var/mail/roots for user roots. cannot open file: Permission denied)
rootslist: 2.0.0 sent (forwarded)
secret: 5.2.0 bounced (cannot append message to file /home/toto/secret: cannot create file exclusively: Permission denied)
secrets: 5.3.5 bounced (mail system configuration error)
symlink: 5.2.0 bounced (cannot update mailbox /var/mail/symlink for user symlink. file is a symbolic link)
writable: 2.0.0 sent (delivered to mailbox)
W
told() {
  sed -nE 's/^.* to=<([a-z]*)@[^>]*>, orig_to=<\1>, relay=local, delay=.*, dsn=([^,]*), status=(.*)$/\1: \2 \3/p' $LOG |
    sed -E 's/forwarded as [0-9A-F]+/forwarded/; s/tmp\/[0-9]+\.P[^:]*:/tmp\/:/' | LC_ALL=C sort
}
every() { (($(told | wc -l) >= $(wc -l </tmp/wanted))); }
while IFS=: read -r user _; do letter "to $user" -f '' $user; done </tmp/wanted
wait_for "every recipient" every
diff /tmp/wanted <(told) >&2 || fail "not as the reference says"
for warning in 'specify "strict_mailbox_ownership = no" to ignore mailbox ownership mismatch' \
  'file /home/openforward/.forward is world writable' 'file /home/foreignforward/.forward has bad owner uid [0-9]+' \
  'file /home/linkforward/.forward is not a regular file' 'file /home/dirforward/.forward is not a regular file' \
  'cannot open include file /etc/shadow: Permission denied' 'unable to lookup :include: file /nonexistent/list: No such file or directory' \
  ':include: file /tmp/open is world writable' ':include: file /tmp is not a regular file' \
  'maildir access problem for UID/GID=[0-9]+/[0-9]+: create maildir file /home/maildir/dir/tmp/.*: Permission denied' \
  'unable to create lock file /var/nonexistent/file.lock: No such file or directory'; do
  expect "$(cat $LOG)" "postfix/local\[[0-9]+\]: warning: $warning\$"
done
same "$(cat /tmp/elsewhere /var/mail/target)" ""
same "$(cat /var/mail/other)" x
[[ ! -e /home/toto/secret ]] || fail "a file in another's home"
wait_for "the group's forward" in_box titi '^Subject: to groupforward'
wait_for "the list that only root reads" in_box titi '^Subject: to rootslist'
# Repaired, it arrives.
chown other: /var/mail/other
postqueue -f
wait_for "the repaired" in_box other '^Subject: to other'
stop
# A spool that anybody may write in still takes mail, for its owner alone.
chmod 1777 /var/mail
rm -f /var/mail/writable
start
letter "in the open" writable
wait_for "the letter" in_box writable '^Subject: in the open'
same "$(stat -c '%U %a' /var/mail/writable)" "writable 600"
