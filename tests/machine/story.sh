# Words that the stories are told with. Sourced by each.
set -euo pipefail
LOG=/var/log/mail.log
Q=/var/spool/postfix
M=/run/box/machine
ours() { [[ $UNDER_TEST = ours ]]; }
skip() { echo "skipped: $*" >&2; exit 77; }
need() { command -v "$1" >/dev/null || skip "$1 is not installed"; }
fail() {
  echo "FAILED: $*" >&2
  { echo "--- log"; tail -n 60 $LOG; echo "--- queue"; find $Q -type f ! -name '*.pid' ! -path '*/etc/*' ! -path '*/lib/*' ! -path '*/usr/*'; } >&2
  exit 1
}
# wait_for WHAT COMMAND...: until the command holds, 15 seconds at most.
wait_for() {
  local what=$1 end=$((SECONDS + 15)); shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "waited in vain for $what"
    sleep 0.05
  done
}
# expect TEXT PATTERN: the text holds the extended regular expression.
expect() { grep -Eq -- "$2" <<<"$1" || fail "expected /$2/ in: $1"; }
expect_not() { ! grep -Eq -- "$2" <<<"$1" || fail "did not expect /$2/ in: $1"; }
same() { [[ $1 = "$2" ]] || fail "expected '$2', got '$1'"; }
# status N COMMAND...: leaves what the command wrote, on both ways, in $OUT.
status() {
  local wanted=$1 got=0; shift
  OUT=$("$@" 2>&1) || got=$?
  [[ $got = "$wanted" ]] || fail "$*: status $got, not $wanted: $OUT"
}
as() { local user=$1; shift; setpriv --reuid="$user" --regid="$user" --init-groups env HOME="/home/$user" USER="$user" LOGNAME="$user" "$@"; }
in_box() { grep -Eq -- "$2" "/var/mail/$1"; }
logged() { grep -Eq -- "$1" $LOG; }
count_in() { grep -Ec -- "$2" "$1" 2>/dev/null || true; }
queue_empty() { [[ -z $(find $Q/maildrop $Q/incoming $Q/active $Q/deferred $Q/hold -type f 2>/dev/null) ]]; }
start() { postfix start >/tmp/start.out 2>&1 || fail "postfix start: $(cat /tmp/start.out)"; }
stop() { postfix stop >/dev/null 2>&1 || fail "postfix stop"; }
# A dialogue with a server: see smtp.pl.
smtp() { perl $M/smtp.pl "$@"; }
sink() { perl $M/sink.pl "$@" </dev/null >/dev/null 2>&1 & wait_for "the sink on port $1" bash -c "exec 3<>/dev/tcp/127.0.0.1/$1"; }
# letter SUBJECT TO...: a letter from eleve.
letter() { local subject=$1; shift; printf 'Subject: %s\n\nWords of %s.\n' "$subject" "$subject" | as eleve sendmail "$@"; }
