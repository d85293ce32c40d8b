# Disks that fail in the middle of a write (faults.md: F2, F5): a refusal or a deferral, the mailbox as it was, nothing left.
. /run/box/machine/story.sh
need pgrep
need strace
start
letter "before" toto
wait_for "the first" in_box toto '^Subject: before'
knock() { # leaves the answer to the end of data in $SAID
  SAID=$(smtp 25 <<S
EHLO x
MAIL FROM:<a@example.org>
RCPT TO:<toto@srvdmz.virtualux.fr>
DATA
R Subject: $1\r\n\r\nHello\r\n.\r\n
?
QUIT
S
)
}
knock "by SMTP"
expect "$SAID" '^250 2.0.0 Ok: queued as'
wait_for "the second" in_box toto '^Subject: by SMTP'
# failing ROLE ERROR COMMAND...: while what the role writes cannot be brought to the disk.
failing() {
  local role=$1 error=$2 pids args=(); shift 2
  pids=$(pgrep -x "$role" || pgrep -f "^$role( |\$)")
  [[ -n $pids ]] || fail "no $role"
  for pid in $pids; do args+=(-p $pid); done
  strace -f -qq -o /tmp/trace -e trace=fsync,fdatasync -e inject=fsync,fdatasync:error=$error "${args[@]}" 2>/tmp/strace & local tracer=$!
  sleep 1
  "$@"
  kill $tracer
  wait $tracer || true
}
ours && writer=smtpd || writer=cleanup
for error in ENOSPC EIO; do
  failing $writer $error knock "lost on the way"
  expect "$SAID" '^451 4.3.0 Error: queue file write error$'
done
wait_for "an empty queue" queue_empty
knock "after the fault"
expect "$SAID" '^250 2.0.0 Ok: queued as'
wait_for "the third" in_box toto '^Subject: after the fault'
# The mailbox. A disk that fails is no reason to return mail; a quota is, as in the reference.
before=$(cksum </var/mail/toto)
deferred() { letter "$1" toto; wait_for "the deferral of $1" logged "to=<toto@srvdmz.virtualux.fr>, orig_to=<toto>, relay=local, .*dsn=$2, status=$3 \(cannot update mailbox /var/mail/toto for user toto. .*$4\)"; }
failing local EDQUOT deferred "over the quota" 5.2.2 bounced 'Disk quota exceeded'
failing local ENOSPC deferred "no space" 4.3.0 deferred 'No space left on device'
! ours || failing local EIO deferred "bad disk" 4.3.0 deferred 'Input/output error'
same "$(cksum </var/mail/toto)" "$before"
postqueue -f
wait_for "the deferred one" in_box toto '^Subject: no space'
! ours || wait_for "the other" in_box toto '^Subject: bad disk'
! in_box toto 'over the quota|lost on the way' || fail "what was refused arrived"
