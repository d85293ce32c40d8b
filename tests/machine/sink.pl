#!/usr/bin/perl
# sink.pl PORT FILE: an SMTP server that takes everything, and appends each message to FILE after its envelope.
use strict; use warnings; use IO::Socket::INET;
my ($port, $file) = @ARGV;
$SIG{CHLD} = 'IGNORE';
my $l = IO::Socket::INET->new(LocalPort => $port, Listen => 50, ReuseAddr => 1) or die "listen: $!\n";
while (1) {
  my $s = $l->accept or next;
  next if fork;
  $s->autoflush(1);
  print $s "220 sink ESMTP\r\n";
  my $m = '';
  while (defined(my $c = <$s>)) {
    if ($c =~ /^EHLO/i) { print $s "250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n" }
    elsif ($c =~ /^(MAIL|RCPT)/i) { $m .= $c; print $s "250 2.1.0 Ok\r\n" }
    elsif ($c =~ /^DATA/i) {
      print $s "354 go\r\n";
      while (defined(my $d = <$s>)) { last if $d eq ".\r\n"; $m .= $d }
      open my $o, '>>', $file or die; print $o $m; close $o; $m = '';
      print $s "250 2.0.0 Ok: taken\r\n";
    }
    elsif ($c =~ /^QUIT/i) { print $s "221 2.0.0 Bye\r\n"; last }
    else { print $s "250 2.0.0 Ok\r\n" }
  }
  exit 0;
}
