# A second host on a wire of its own to this one. Sourced after story.sh.
# second_host NAME OWN-ADDRESS ITS-ADDRESS: the mail systems must not run yet.
second_host() {
  local ready=/tmp/host.ready
  unshare --mount --net --uts bash $M/host "$1" $ready </dev/null >/tmp/host.log 2>&1 &
  HOST=$!
  wait_for "the second host" test -e $ready
  ip addr flush dev lo
  ip addr add 127.0.0.1/8 dev lo
  ip link add wire type veth peer name wire netns $HOST
  ip addr add "$2/24" dev wire
  ip link set wire up
  there ip addr add "$3/24" dev wire
  there ip link set wire up
}
# there COMMAND...: on the second host.
there() { nsenter --target "$HOST" --mount --net --uts -- "$@"; }
