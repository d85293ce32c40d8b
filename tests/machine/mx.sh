# Mail servers with TLS and AUTH (mx.py) and their certificates. Sourced after story.sh. All are the host mx.test.
need python3; need openssl
python3 -c 'import ssl' 2>/dev/null || skip "python3 has no ssl"
echo '127.0.0.1 mx.test' >>/etc/hosts
# mx PORT KEY=VALUE...: a server; what it hears is in /tmp/heard.PORT.
mx() {
  local port=$1; shift
  : >/tmp/heard.$port
  python3 $M/mx.py "$port" /tmp/heard.$port "$@" </dev/null >/tmp/mx.$port 2>&1 &
  wait_for "the server on port $port" bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
  wait_for "the end of a look" grep -q . /tmp/heard.$port
}
# authority: /tmp/ca.pem, also under its hash below /tmp/hashed.
authority() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/O=Story/CN=Test CA" -keyout /tmp/ca.key -out /tmp/ca.pem 2>/dev/null
  mkdir /tmp/hashed; cp /tmp/ca.pem /tmp/hashed/; openssl rehash /tmp/hashed
  chmod 644 /tmp/ca.pem
}
# certificate FILE HOST, from the authority; expired FILE HOST; self_signed FILE HOST: /tmp/FILE.pem and .key.
request() { openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout "/tmp/$1.key" -out "/tmp/$1.csr" 2>/dev/null; }
certificate() {
  request "$@"
  openssl x509 -req -in "/tmp/$1.csr" -CA /tmp/ca.pem -CAkey /tmp/ca.key -CAcreateserial -days 3650 -extfile <(echo "subjectAltName=DNS:$2") -out "/tmp/$1.pem" 2>/dev/null
}
expired() {
  request "$@"
  printf '[ca]\ndefault_ca=own\n[own]\ndatabase=/tmp/index\nserial=/tmp/own.srl\nnew_certs_dir=/tmp\ndefault_md=sha256\npolicy=any\nx509_extensions=names\n[any]\ncommonName=supplied\n[names]\nsubjectAltName=DNS:%s\n' "$2" >/tmp/own.cnf
  : >/tmp/index; echo 77 >/tmp/own.srl
  openssl ca -batch -notext -config /tmp/own.cnf -in "/tmp/$1.csr" -cert /tmp/ca.pem -keyfile /tmp/ca.key -startdate 20200101000000Z -enddate 20210101000000Z -out "/tmp/$1.pem" 2>/dev/null
}
self_signed() { openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=$2" -keyout "/tmp/$1.key" -out "/tmp/$1.pem" 2>/dev/null; }
# try PORT NAME=VALUE...: a letter to that server by these parameters; what came of it is in $LOGGED, up to the line of
# its recipient.
postconf -e default_transport=smtp smtp_host_lookup=native
LETTERS=0
try() {
  local port=$1 before; shift
  postconf -e "relayhost = [mx.test]:$port" "$@"
  postfix reload >/dev/null 2>&1
  : >/tmp/heard.$port
  LETTERS=$((LETTERS + 1))
  before=$(wc -l <$LOG)
  printf 'Subject: %s\n\nWords.\n' "$LETTERS" | sendmail ${OPTIONS:-} -f "${FROM:-toto@srvdmz.virtualux.fr}" "a$LETTERS@x.example"
  wait_for "what becomes of letter $LETTERS" grep -Eq "to=<a$LETTERS@x.example>.* status=" $LOG
  LOGGED=$(tail -n +$((before + 1)) $LOG)
  wait_for "the end of the conversation" closed "$port"
  postsuper -d ALL deferred >/dev/null 2>&1
}
closed() { # Whoever came to the server is gone.
  [[ $(grep -c '^S: open' /tmp/heard.$1) = $(grep -c '^S: closed' /tmp/heard.$1) ]]
}
# heard PORT [PATTERN]: what the server heard since the last try.
heard() { grep -E -- "${2:-.}" /tmp/heard.$1; }
# commands PORT: their names, in a line.
commands() { heard "$1" '^C: ' | sed 's/^C: \([A-Z]*\).*/\1/' | tr '\n' ' '; }
