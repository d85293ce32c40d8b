# Sourced before each line of a story. c/ is the configuration directory; an old main.cf keeps the reference awake.
M=c
export MAIL_CONFIG=c LC_ALL=C
S='smtp inet n - y - - smtpd'
W='# m\nsmtp inet n - y - - smtpd\n  -o a=b\n# c\n  -o c=d\nx unix - - n - - local\n'
F='# top\nbiff = no\n\n# two\nmyorigin=a,\n  b\n# in\n  c\nbiff   =  yes\n\n#end\n'
# t MAIN MASTER COMMAND...: with these two files
t() {
    printf '%b\n' "$1" >c/main.cf; printf '%b\n' "$2" >c/master.cf; touch -t 202001010000 c/main.cf c/master.cf
    shift; shift; "$@"
}
# e MAIN MASTER COMMAND...: the same, and show both files after it
e() {
    printf '%b' "$1" >c/main.cf; printf '%b' "$2" >c/master.cf; touch -t 202001010000 c/main.cf c/master.cf
    shift; shift; "$@"; echo "rc $?"; cat c/main.cf; echo "-- master.cf"; cat c/master.cf
}
# o MAIN COMMAND...: on a usable main.cf with MAIN added
o() {
    printf 'mail_owner=daemon\nsetgid_group=mail\ninet_interfaces=loopback-only\nmyhostname=h.example.org\n%b\n' "$1" >c/main.cf
    touch -t 202001010000 c/main.cf; shift; "$@"
}
