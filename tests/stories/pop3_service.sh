# POP3 as a line of master.cf: real users with their passwords, mail that came by SMTP, and a session across a reload.
. /run/box/machine/story.sh
ours || skip "the reference is another program's service"
rm -rf /etc/dovecot; mkdir /etc/dovecot
cat >/etc/dovecot/dovecot.conf <<'C'
protocols = pop3
disable_plaintext_auth = no
mail_location = mbox:~/mail:INBOX=/var/mail/%u
mail_access_groups = mail
passdb {
  driver = shadow
}
userdb {
  driver = passwd
}
C
echo 'pop3 inet n - n - - pop3d' >>/etc/postfix/master.cf
status 0 postfix check
start
letter "first" toto
letter "second" toto
wait_for "both" bash -c '(( $(grep -c "^Subject: " /var/mail/toto) == 2 ))'
# pop COMMAND...: a session; each answer's first line.
pop() {
  local line command
  exec 6<>/dev/tcp/127.0.0.1/110
  IFS= read -r -t 10 -u 6 line; echo "${line%$'\r'}"
  for command in "$@"; do
    printf '%s\r\n' "$command" >&6
    IFS= read -r -t 10 -u 6 line || { echo "closed"; break; }
    echo "${line%$'\r'}"
    case $command in
      LIST | UIDL | RETR* | TOP*) while [[ ${line%$'\r'} != . ]]; do IFS= read -r -t 10 -u 6 line; [[ $command = LIST || ${line%$'\r'} != Subject:* ]] || echo "${line%$'\r'}"; done ;;
    esac
  done
  exec 6<&-
}
D=$(pop "USER toto" "PASS wrong" "QUIT")
expect "$D" '^\+OK'
expect "$D" '^-ERR \[AUTH\] Authentication failed\.$'
D=$(pop "USER toto" "PASS toto" STAT "RETR 1" "RETR 2" "DELE 1" QUIT)
expect "$D" '^\+OK Logged in\.$'
expect "$D" '^\+OK 2 [0-9]+$'
expect "$D" '^Subject: first$'
expect "$D" '^Subject: second$'
expect "$D" '^\+OK Marked to be deleted\.$'
expect "$D" '^\+OK Logging out, messages deleted\.$'
same "$(grep ^Subject: /var/mail/toto)" "Subject: second"
same "$(stat -c '%U %a' /var/mail/toto)" "toto 600"
# A session goes on across a reload, and the next ones are served.
exec 5<>/dev/tcp/127.0.0.1/110
hear() { local line; IFS= read -r -t 10 -u 5 line; echo "${line%$'\r'}"; }
ask() { printf '%s\r\n' "$1" >&5; hear; }
expect "$(hear)" '^\+OK'
expect "$(ask "USER toto")" '^\+OK'
expect "$(ask "PASS toto")" '^\+OK Logged in\.$'
# And one that has not said its password yet.
exec 7<>/dev/tcp/127.0.0.1/110
hear7() { local line; IFS= read -r -t 10 -u 7 line; echo "${line%$'\r'}"; }
expect "$(hear7)" '^\+OK'
printf 'USER titi\r\n' >&7
expect "$(hear7)" '^\+OK'
postfix reload >/dev/null 2>&1
wait_for "the reload" logged 'postfix/master\[[0-9]+\]: reload'
expect "$(pop "USER titi" "PASS titi" STAT QUIT)" '^\+OK 0 0$'
printf 'PASS titi\r\n' >&7
expect "$(hear7)" '^\+OK Logged in\.$'
expect "$(ask STAT)" '^\+OK 1 [0-9]+$'
expect "$(ask QUIT)" '^\+OK Logging out\.$'
