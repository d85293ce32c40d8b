# A notice that cannot be delivered goes to the postmaster, if notify_classes says so; "bounce" says so too.
. /run/box/machine/story.sh
for classes in 2bounce bounce 'resource, software'; do
  postconf -e "notify_classes = $classes"
  : >$LOG
  start
  printf 'Subject: x\n\nhi\n' | sendmail -f ghost@srvdmz.virtualux.fr nosuch@srvdmz.virtualux.fr
  wait_for "the notice's end" logged 'from=<>, size='
  wait_for "the failure of the notice" logged 'to=<ghost@srvdmz.virtualux.fr>, .*status=bounced'
  wait_for "an empty queue" queue_empty
  case $classes in
    2bounce) same "$(count_in $LOG 'postmaster non-delivery notification: ')" 1 ;;
    bounce) same "$(count_in $LOG 'postmaster non-delivery notification: ')" 2 ;;
    *) same "$(count_in $LOG 'postmaster non-delivery notification: ')" 0 ;;
  esac
  if [[ $classes != resource* ]]; then
    # The postmaster knows what a notice is: no text for him, and he is not asked to answer a machine.
    expect "$(cat /var/mail/root)" '^Return-Path: <double-bounce@'"$(postconf -h myhostname)"'>$'
    expect "$(cat /var/mail/root)" '^Auto-Submitted: auto-generated$'
    expect "$(cat /var/mail/root)" '^X-Postfix-Sender: rfc822; MAILER-DAEMON@'
    expect "$(cat /var/mail/root)" '^Return-Path: <MAILER-DAEMON@'
    same "$(count_in /var/mail/root "^I'm sorry to have to inform you")" 1
    rm /var/mail/root
  fi
  stop
done
