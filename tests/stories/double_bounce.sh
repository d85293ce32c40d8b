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
  stop
done
