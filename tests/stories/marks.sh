# The flags D, O, R and X of smtp(8) and pipe(8): headers in front, and mail that was there before.
. /run/box/machine/story.sh
sink 2526 /tmp/sunk
printf '%s\n' '#!/bin/sh' 'cat >/var/tmp/kept' >/usr/local/bin/keep
chmod 755 /usr/local/bin/keep
mkdir -m 1777 -p /var/tmp
postconf -M 'marked/unix=marked unix - n n - - smtp flags=DORX'
postconf -M 'several/unix=several unix - n n - - smtp flags=D'
postconf -M 'kept/unix=kept unix - n n - - pipe flags=DOR user=titi argv=/usr/local/bin/keep'
postconf -e 'marked_destination_recipient_limit = 1' 'kept_destination_recipient_limit = 1' \
  'transport_maps = inline:{m.example=marked:127.0.0.1:2526, s.example=several:127.0.0.1:2526, k.example=kept:}' \
  'smtp_generic_maps = inline:{eleve@srvdmz.virtualux.fr=out@example.org}'
start
letter marked '"a b"@m.example'
wait_for "the mail" logged 'to=<"a b"@m.example>, .*status=sent'
same "$(grep -E '^(Return-Path|X-Original-To|Delivered-To): ' /tmp/sunk | tr -d '\r' | paste -sd'|')" \
  'Return-Path: <out@example.org>|X-Original-To: "a b"@m.example|Delivered-To: "a b"@m.example'
letter kept there@k.example
wait_for "the mail" test -s /var/tmp/kept
same "$(head -3 /var/tmp/kept | paste -sd'|')" \
  'Return-Path: <eleve@srvdmz.virtualux.fr>|X-Original-To: there@k.example|Delivered-To: there@k.example'
# With several recipients, whose name would it be?
letter several one@s.example two@s.example
wait_for "the refusal" logged "smtp.*: warning: flag .D' requires several_destination_recipient_limit = 1"
wait_for "the deferral" logged 'to=<two@s.example>, relay=several, .*dsn=4.3.5, status=deferred \(mail system configuration error\)'
# Mail that says that it was delivered there is on its way round.
for to in '"a b"@m.example' there@k.example; do
  printf 'delivered-To: %s\nSubject: again\n\nround\n' "${to^^}" | as eleve sendmail "$to"
  wait_for "the loop" logged "to=<${to}>, .*dsn=5.4.6, status=bounced \(mail forwarding loop for ${to//\"/}\)"
done
