# What benches/mail.rs measures, on one throwaway machine (tests/machine/box): a figure a line, "NAME VALUE".
set -eu
exec 3>&1 1>&2
postconf -e 'mydestination = srvdmz.virtualux.fr, localhost' 'inet_interfaces = loopback-only' 'inet_protocols = ipv4' \
  'mynetworks = 127.0.0.0/8' 'mailbox_command =' 'mailbox_size_limit = 0' 'compatibility_level = 3.6' 'relayhost ='
# The reference waits until main.cf is no longer new, each time a program starts.
touch -d '1 hour ago' /etc/postfix/main.cf
newaliases
postfix start
now() { date +%s.%N; }
# rate NAME COUNT BEGIN: so many a second since then.
rate() { echo "$1 $(echo "$2 / ($(now) - $3)" | bc -l)" >&3; }
arrived() { grep -c '^Received: from' /var/mail/toto 2>/dev/null || true; }
for _ in $(seq 100); do (exec 9<>/dev/tcp/127.0.0.1/25) 2>/dev/null && break; sleep 0.1; done
if command -v smtp-source >/dev/null; then
  # The first round warms up.
  for round in 1 2 3; do
    begin=$(now)
    smtp-source -s 20 -m 1000 -l 4000 -f a@example.org -t toto@localhost 127.0.0.1:25
    [ $round = 1 ] || rate accepted 1000 $begin
    for _ in $(seq 1200); do [ "$(arrived)" -ge $((round * 1000)) ] && break; sleep 0.05; done
    [ "$(arrived)" -eq $((round * 1000)) ] || { echo "mail.sh: $(arrived) of $((round * 1000)) messages arrived" >&2; exit 1; }
    [ $round = 1 ] || rate end-to-end 1000 $begin
  done
fi
calls() { for _ in $(seq 200); do echo hello | /usr/sbin/sendmail -i titi; done; }
begin=$(now); calls; rate sendmail-as-root 200 $begin
begin=$(now); su titi -c "$(declare -f calls); calls"; rate sendmail-as-user 200 $begin
for _ in $(seq 600); do mailq | grep -q 'queue is empty' && break; sleep 0.1; done
begin=$(now); for _ in 1 2 3 4 5; do postfix check; done; rate checks 5 $begin
begin=$(now); for _ in $(seq 50); do postconf -h myhostname >/dev/null; done; rate postconf 50 $begin
sleep 2
total=0
for process in /proc/[0-9]*; do
  case $(readlink $process/exe || true) in
  */postfix/* | */pillarbox*) total=$((total + $(awk '/^Pss:/ { print $2 }' $process/smaps_rollup))) ;;
  esac
done
echo "idle-pss $total" >&3
postfix stop
