#!/usr/bin/perl
# smtp.pl PORT [HOST]: a dialogue, told on stdin. A line "R text" sends the bytes of text (\r \n \0 \\ \xHH stand for
# themselves) and reads nothing, "?" reads a reply, "S n" sleeps, any other line is sent with CRLF and answered.
# Replies are printed. The greeting is read first. Perl, because every Debian has it.
use strict; use warnings; use IO::Socket::INET;
my ($port, $host) = @ARGV;
$| = 1;
my $s = IO::Socket::INET->new(PeerAddr => $host // '127.0.0.1', PeerPort => $port, Timeout => 20) or die "connect: $!\n";
$s->autoflush(1);
$SIG{ALRM} = sub { print "TIMEOUT\n"; exit 3 };
sub reply { alarm 30; while (my $l = <$s>) { $l =~ s/\r\n$//; print "$l\n"; if ($l =~ /^\d{3}( |$)/) { alarm 0; return 1 } } print "CLOSED\n"; exit 2 }
reply();
while (my $l = <STDIN>) {
  chomp $l;
  if ($l eq '?') { reply() }
  elsif ($l =~ /^S (.*)/) { select(undef, undef, undef, $1) }
  elsif ($l =~ s/^R //) { $l =~ s/\\(x[0-9a-f]{2}|.)/my $e=$1; $e eq 'r' ? "\r" : $e eq 'n' ? "\n" : $e eq '0' ? "\0" : $e =~ m{^x(..)} ? chr hex $1 : $e/ge; print $s $l }
  else { print $s "$l\r\n"; reply() }
}
