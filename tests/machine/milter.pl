#!/usr/bin/perl
# milter.pl PORT NAME: a mail filter (sendmail's milter protocol, version 6). It marks every message "X-Filter: NAME"; what
# else it does, the Subject says: "reject", "hold", "swap" (the recipient and the body), "later" while /tmp/later is there.
use strict; use warnings; use IO::Socket::INET;
my ($port, $name) = @ARGV;
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 20, ReuseAddr => 1) or die "bind: $!\n";
$SIG{CHLD} = 'IGNORE';
sub packet { my ($s, $code, $data) = @_; print $s pack('N', 1 + length $data), $code, $data }
while (my $s = $server->accept) {
  next if fork;
  $s->autoflush(1);
  my ($subject, $recipient) = ('', '');
  while (read($s, my $head, 5) == 5) {
    my ($length, $code) = unpack 'N a', $head;
    my $data = '';
    read($s, $data, $length - 1) if $length > 1;
    if ($code eq 'O') { packet($s, 'O', pack 'N3', 6, 0x1ff, 0) }
    elsif ($code eq 'Q') { last }
    elsif ($code =~ /[AD]/) { $subject = '' if $code eq 'A' }
    elsif ($code eq 'E') {
      packet($s, 'i', pack('N', 0) . "X-Filter\0$name\0");
      if ($subject =~ /swap/) { packet($s, '-', "$recipient\0"); packet($s, '+', "<titi>\0"); packet($s, 'b', "Other words.\r\n") }
      packet($s, 'q', "looks odd\0") if $subject =~ /hold/;
      if ($subject =~ /reject/) { packet($s, 'y', "550 5.7.1 no thanks\0") }
      elsif ($subject =~ /later/ && -e '/tmp/later') { packet($s, 't', '') }
      else { packet($s, 'c', '') }
    } else {
      ($recipient) = split /\0/, $data if $code eq 'R';
      $subject = $1 if $code eq 'L' && $data =~ /^Subject\0(.*)\0/;
      packet($s, 'c', '');
    }
  }
  exit 0;
}
