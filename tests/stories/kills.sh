# Roles are killed at random under load: what was accepted arrives, whole.
. /run/box/machine/story.sh
need pgrep; need python3
ours || skip "the reference pauses a killed service for a minute"
postconf -e 'minimal_backoff_time = 1s' 'queue_run_delay = 1s' 'maximal_backoff_time = 2s'
start
mkdir /tmp/acked; chmod 1777 /tmp/acked
# Subject, 300 lines that name it, and an end.
body() { echo "Subject: number $1."; echo; seq -f "line %g of $1" 300; echo "end of $1"; }
by_smtp() {
  local n
  for n in $(seq $1 $2); do
    { printf 'EHLO load\nMAIL FROM:<eleve@srvdmz.virtualux.fr>\nRCPT TO:<%s@srvdmz.virtualux.fr>\nDATA\nR ' $3
      body $n | sed 's/$/\\r\\n/' | tr -d '\n'; printf '.\\r\\n\n?\nQUIT\n'; } | timeout 5 perl $M/smtp.pl 25 >/tmp/said.$1 2>/dev/null || true
    ! grep -q '^250 2.0.0 Ok: queued as' /tmp/said.$1 || touch /tmp/acked/$n
  done
}
by_sendmail() {
  local n
  for n in $(seq $1 $2); do ! body $n | as eleve sendmail $3 2>/dev/null || touch /tmp/acked/$n; done
}
by_smtp 1 60 toto & L1=$!
by_smtp 1001 1060 titi & L2=$!
by_sendmail 2001 2060 toto & L3=$!
killed=0
for n in {1..150}; do
  kill -0 $L1 2>/dev/null || kill -0 $L2 2>/dev/null || kill -0 $L3 2>/dev/null || break
  victims=($(pgrep -P "$(tr -d ' ' <$Q/pid/master.pid)" || true))
  ((${#victims[@]} == 0)) || ! kill -9 ${victims[RANDOM % ${#victims[@]}]} 2>/dev/null || killed=$((killed + 1))
  sleep 0.$((RANDOM % 2))$((RANDOM % 9 + 1))
done
wait $L1 $L2 $L3
# And the master itself: its children end with it, and the next start finds everything.
kill -9 "$(tr -d ' ' <$Q/pid/master.pid)"
wait_for "a start after the master's death" postfix start
# What was being written when its writer died has a name with a dot, and is nobody's mail: the client had no answer.
rest() { find $Q/maildrop $Q/incoming $Q/active $Q/deferred -type f ! -name '*.*'; }
for n in {1..100}; do [[ -n $(rest) ]] || break; postqueue -f; sleep 0.2; done
same "$(rest)" ""
python3 - /tmp/acked /var/mail/toto /var/mail/titi $killed >&2 <<'P' || fail "mail was lost or torn"
import os, re, sys
acked, boxes, killed = {int(n) for n in os.listdir(sys.argv[1])}, sys.argv[2:4], sys.argv[4]
seen, torn = [], 0
for box in boxes:
    if not os.path.exists(box): continue
    for letter in re.split(r'(?m)^From (?=\S+  )', open(box).read())[1:]:
        head, _, text = letter.partition('\n\n')
        number = re.search(r'(?m)^Subject: number (\d+)\.$', head)
        if not number:
            torn += 'Subject: number' in letter or 'line ' in text
            continue
        n = int(number[1])
        torn += text.rstrip('\n').split('\n') != [f'line {i} of {n}' for i in range(1, 301)] + [f'end of {n}']
        seen.append(n)
lost = acked - set(seen)
print(f'accepted {len(acked)}, killed {killed}, lost {len(lost)}, torn {torn}, doubled {len(seen) - len(set(seen))}')
sys.exit(bool(lost) or torn > 0 or not acked)
P
