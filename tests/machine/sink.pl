#!/usr/bin/perl
# sink.pl PORT FILE [ADDRESS [STAGE=REPLY...]]: an SMTP server that takes everything, and appends each message to FILE
# after its envelope. STAGE is greeting, hello, mail, rcpt, data or end: what is said there instead; a REPLY "drop" ends
# the connection.
use strict; use warnings; use IO::Socket::INET;
my ($port, $file, $address, @rules) = @ARGV;
my %say = (greeting => '220 sink ESMTP', hello => '', mail => '250 2.1.0 Ok', rcpt => '250 2.1.5 Ok', data => '354 go', end => '250 2.0.0 Ok: taken',
  map { split /=/, $_, 2 } @rules);
$SIG{CHLD} = 'IGNORE';
my $l = IO::Socket::INET->new(LocalPort => $port, $address ? (LocalAddr => $address) : (), Listen => 50, ReuseAddr => 1) or die "listen: $!\n";
while (1) {
  my $s = $l->accept or next;
  next if fork;
  $s->autoflush(1);
  my $tell = sub { my $r = $say{$_[0]}; exit 0 if $r eq 'drop'; print $s "$r\r\n"; $r };
  my $g = $tell->('greeting');
  exit 0 if $g =~ /^421/;
  my $m = '';
  while (defined(my $c = <$s>)) {
    if ($c =~ /^EHLO/i && !$say{hello}) { print $s "250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n" }
    elsif ($c =~ /^(EHLO|HELO)/i && $say{hello}) { $tell->('hello') }
    elsif ($c =~ /^MAIL/i) { $m .= $c; $tell->('mail') }
    elsif ($c =~ /^RCPT/i) { $m .= $c; $tell->('rcpt') }
    elsif ($c =~ /^DATA/i) {
      next if $tell->('data') !~ /^354/;
      my $ended;
      while (defined(my $d = <$s>)) { last if $ended = $d eq ".\r\n"; $m .= $d }
      exit 0 unless $ended;
      if ($tell->('end') =~ /^2/) { open my $o, '>>', $file or die; print $o $m; close $o }
      $m = '';
    }
    elsif ($c =~ /^QUIT/i) { print $s "221 2.0.0 Bye\r\n"; last }
    else { print $s "250 2.0.0 Ok\r\n" }
  }
  exit 0;
}
