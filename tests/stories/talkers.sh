# A stranger who speaks before it is his turn is cut off before anything of what he said is done (faults.md, A23, A24).
. /run/box/machine/story.sh
# Nobody here is a friend. Early talkers are always cut off here; the rest is what this parameter asks for.
postconf -e 'mynetworks = 192.0.2.0/24'
postconf -e 'smtpd_forbid_unauth_pipelining = yes'
start
wait_for "the server" bash -c 'exec 3<>/dev/tcp/127.0.0.1/25'
# talk FIRST: everything at once, at the connection, before the greeting is read.
talk() {
  perl -MIO::Socket::INET -e '
    my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => 25, Timeout => 20) or die "connect: $!\n";
    $s->autoflush(1); alarm 20; local $/; my $text = $ARGV[0]; $text =~ s/\n/\r\n/g;
    print $s $text; print <$s>' "$1"
}
mail=$'MAIL FROM:<eleve@srvdmz.virtualux.fr>\nRCPT TO:<toto@srvdmz.virtualux.fr>\nDATA\n'
body=$'Subject: early\n\nwords\n.\nQUIT\n'
if ours; then
  D=$(talk $'EHLO early\n'"$mail$body" | tr -d '\r')
  expect "$D" '^554 5\.5\.0 '
  expect_not "$D" 'queued as'
fi
# In turn up to DATA, and then the body with it: DATA must be the last command of a group (RFC 2920).
D=$(smtp 25 <<S || true
EHLO client
MAIL FROM:<eleve@srvdmz.virtualux.fr>
RCPT TO:<toto@srvdmz.virtualux.fr>
R DATA\r\nSubject: early\r\n\r\nwords\r\n.\r\n
?
S
)
expect "$D" '^554 5\.5\.0 Error: SMTP protocol synchronization'
expect_not "$D" 'queued as'
# EHLO must be the last of its group, too; PIPELINING was not offered yet.
D=$(smtp 25 <<S || true
R EHLO client\r\nMAIL FROM:<eleve@srvdmz.virtualux.fr>\r\n
?
S
)
expect "$D" '^554 5\.5\.0 Error: SMTP protocol synchronization'
# Who waits for his turn is served, with commands in groups.
D=$(smtp 25 <<S || true
EHLO client
R MAIL FROM:<eleve@srvdmz.virtualux.fr>\r\nRCPT TO:<toto@srvdmz.virtualux.fr>\r\nDATA\r\n
?
?
?
R Subject: in turn\r\n\r\nwords\r\n.\r\n
?
QUIT
S
)
expect "$D" 'queued as'
wait_for "the letter of the one who waited" in_box toto '^Subject: in turn'
same "$(count_in /var/mail/toto '^Subject: early')" 0
