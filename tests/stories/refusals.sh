# What our client says to a server that refuses: the sender, every recipient, some of them, the data.
. /run/box/machine/story.sh
need python3; need ss
cat >/tmp/server.py <<'P'
import socket, sys
refuses, pipelining = sys.argv[1], sys.argv[2] == "yes"
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", 2525))
server.listen(5)
client, _ = server.accept()
lines, heard = client.makefile("rb"), open("/tmp/heard", "a")
client.sendall(b"220 server ESMTP\r\n")
content = False
for line in lines:
    text = line.decode().rstrip("\r\n")
    if content:
        if text == ".":
            content = False
            client.sendall(b"250 taken\r\n")
        continue
    print(text, file=heard, flush=True)
    word = text.split(" ")[0].split(":")[0]
    if word == "EHLO":
        client.sendall(b"250-server\r\n250 PIPELINING\r\n" if pipelining else b"250 server\r\n")
    elif word == refuses or "bad@" in text:
        client.sendall(b"550 not here\r\n")
    elif word == "DATA" and refuses != "RCPT":
        content = True
        client.sendall(b"354 go on\r\n")
    elif word == "DATA":
        client.sendall(b"554 nobody\r\n")
    elif word == "QUIT":
        client.sendall(b"221 bye\r\n")
        break
    else:
        client.sendall(b"250 fine\r\n")
P
postconf -e 'default_transport = smtp' 'relayhost = [127.0.0.1]:2525' smtp_helo_name=us smtp_connection_cache_on_demand=no
start
# try REFUSED PIPELINING: what the server heard of three recipients, but for the greeting.
try() {
  rm -f /tmp/heard
  python3 /tmp/server.py $1 $2 &
  wait_for "a server" bash -c "ss -Hltn 'sport = :2525' | grep -q ."
  printf 'Subject: x\n\nhi\n' | sendmail -f toto a@x.example b@x.example bad@x.example
  wait_for "its end" grep -q '^QUIT' /tmp/heard
  wait $!
  grep -v '^EHLO us$' /tmp/heard | sed 's/ .*//; s/:.*//' | tr '\n' ' '
}
same "$(try MAIL no)" "MAIL RSET QUIT "
same "$(try RCPT no)" "MAIL RCPT RCPT RCPT RSET QUIT "
same "$(try DATA no)" "MAIL RCPT RCPT RCPT DATA RSET QUIT "
same "$(try none no)" "MAIL RCPT RCPT RCPT DATA QUIT "
same "$(try MAIL yes)" "MAIL RCPT RCPT RCPT DATA QUIT "
same "$(try RCPT yes)" "MAIL RCPT RCPT RCPT DATA RSET QUIT "
same "$(try DATA yes)" "MAIL RCPT RCPT RCPT DATA RSET QUIT "
wait_for "a refusal" logged 'to=<bad@x.example>, .*status=bounced \(host 127.0.0.1\[127.0.0.1\] said: 550 not here \(in reply to RCPT TO command\)\)$'
wait_for "a refusal of the data" logged 'to=<b@x.example>, .*status=bounced \(host 127.0.0.1\[127.0.0.1\] said: 550 not here \(in reply to DATA command\)\)$'
