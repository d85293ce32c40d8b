# Aliases: a list in a file, a command, a file, a name for root, one that loops; and ~/.forward.
. /run/box/machine/story.sh
mkdir -p /etc/mail.d
printf '# the class\ntoto, titi\n' >/etc/mail.d/class
install -m 666 /dev/null /var/tmp/archive
cat >/etc/aliases <<'A'
postmaster: root
root: eleve
class: :include:/etc/mail.d/class
archive: /var/tmp/archive
piped: "|cat >/tmp/piped; env | sort >/tmp/piped.env"
chicken: egg
egg: chicken, toto
A
newaliases
start
letter "to the class" class
wait_for "toto's" in_box toto 'to the class'
wait_for "titi's" in_box titi 'to the class'
letter "for root" root
wait_for "root's, read by eleve" in_box eleve '^Subject: for root'
letter "kept" archive
wait_for "the archive" grep -q 'Words of kept' /var/tmp/archive
letter "by pipe" piped+ext
wait_for "the command" grep -q 'Words of by pipe' /tmp/piped
wait_for "its environment" grep -q '^EXTENSION=ext$' /tmp/piped.env
letter "round and round" chicken
wait_for "the loop's good half" in_box toto '^Subject: round and round'
wait_for "an empty queue" queue_empty
same "$(count_in /var/mail/toto '^Subject: round and round')" 1
# .forward
printf 'titi, \\toto\n' >/home/toto/.forward
chown toto: /home/toto/.forward
letter "forwarded" toto
wait_for "the copy" in_box titi '^Subject: forwarded'
wait_for "the own" in_box toto '^Subject: forwarded'
expect "$(cat /var/mail/titi)" '^Delivered-To: toto@srvdmz.virtualux.fr'
# A .forward in circles comes back as a bounce.
printf 'titi\n' >/home/toto/.forward
printf 'toto\n' >/home/titi/.forward
chown titi: /home/titi/.forward
letter "circle" toto
wait_for "the bounce" in_box eleve 'mail forwarding loop for toto'
wait_for "an empty queue" queue_empty
