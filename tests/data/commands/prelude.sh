# Sourced before each line of a story, in a directory of its own. q/ is the queue, c/ the configuration.
export MAIL_CONFIG=$PWD/c LC_ALL=C TZ=UTC
Q=q
unset NAME
OWNER=$(id -un) GROUP=$(id -gn)
# Root's queue belongs to somebody else: the reference insists.
[ "$OWNER" != root ] || OWNER=daemon GROUP=mail
# queue [LINE...]: a new, empty queue, and a main.cf with these lines.
queue() {
    rm -rf q; mkdir -p q/maildrop q/incoming q/active q/deferred q/hold q/corrupt q/defer q/bounce q/trace q/flush q/public q/private q/pid
    [ "$(id -u)" != 0 ] || { chown daemon q/[a-z]*; chown root q/pid; chgrp mail q/maildrop q/public; chmod 1730 q/maildrop; chmod 710 q/public; }
    { printf '%s\n' "queue_directory=$PWD/q" "mail_owner=$OWNER" "setgid_group=$GROUP" compatibility_level=3.6 \
        inet_interfaces=loopback-only myhostname=h.example.org alias_maps= alias_database=; printf '%s\n' "$@"; } >c/main.cf
    touch -t 202001010000 c/main.cf
}
# send ARGUMENTS...: sendmail, and what it left in the maildrop, which is emptied. The wake-up call that reaches nobody
# is not what these lines are about.
send() {
    sendmail "$@" 2> >(grep -v 'unable to look up public/pickup' >&2); echo "sendmail: $?"
    for file in q/maildrop/*; do
        [ -f "$file" ] && [ -x "$file" ] || continue
        postcat -d -e -b -h "$file" | grep -av 'ENVELOPE\|message_arrival\|sender_fullname'
        rm -f "$file"
    done
}
# letter QUEUE TO...: a message in a queue; its id is in $ID.
letter() {
    local to=$1; shift
    printf 'Subject: s\n\nbody\n' | sendmail -f eleve "$@" 2>/dev/null
    ID=$(ls q/maildrop)
    [ "$to" = maildrop ] || into maildrop "$to"
}
into() {
    local place=q/$2
    case $2 in deferred) place=q/$2/${ID:0:1}; mkdir -p "$place" ;; esac
    mv q/$1/"$ID" "$place"/
    chown -R "$OWNER" "$place"
}
# queued CONTENT [LOG]: a deferred message of these records and what is said of it, and how the queue is listed then.
queued() {
    mkdir -p q/deferred/A q/defer/A
    printf "$1" >q/deferred/A/A1B2C3
    rm -f q/defer/A/A1B2C3
    [ -z "${2-}" ] || printf "$2" >q/defer/A/A1B2C3
    chmod 700 q/deferred/A/A1B2C3
    touch -d @1795847862 q/deferred/A/A1B2C3
    chown -R "$OWNER" q/deferred q/defer
    postqueue -p 2>/dev/null
    postqueue -j 2>/dev/null
}
