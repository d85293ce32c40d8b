# A name server of the story's own. Sourced after story.sh.
# It answers for "." itself, so that a name that no zone holds is known not to exist, and asks nobody.
NAMED=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v named) || skip "named (bind9) is not installed"
ZONES=/var/cache/bind
zone() { # zone NAME: records from standard input
  local file=db.$1
  { printf '$TTL 60\n@ IN SOA ns. root.ns. ( 1 60 60 60 60 )\n@ IN NS ns.\n'; cat; } >$ZONES/$file
  printf 'zone "%s" { type master; file "%s"; };\n' "$1" "$file" >>/etc/bind/named.conf
}
# name_server ADDRESS: begins it; zones follow, and then name_server_start.
name_server() {
  mkdir -p /etc/bind /run/named $ZONES
  cat >/etc/bind/named.conf <<C
options {
  directory "$ZONES"; pid-file "/run/named/named.pid"; session-keyfile "/run/named/session.key";
  listen-on { 127.0.0.1; $1; }; listen-on-v6 { none; }; recursion no; allow-query { any; }; minimal-responses yes;
};
controls { };
zone "unreadable.test" { type master; file "db.that-is-not-there"; };
C
  zone . <<<'ns. IN A 127.0.0.1'
  NS=$1
}
name_server_start() {
  $NAMED -g -c /etc/bind/named.conf >/tmp/named.log 2>&1 &
  NAMED_PID=$!
  echo "nameserver $NS" >/etc/resolv.conf
  wait_for "the name server" grep -q 'running$' /tmp/named.log || fail "$(cat /tmp/named.log)"
}
