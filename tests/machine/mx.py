#!/usr/bin/python3
# mx.py PORT FILE [KEY=VALUE...]: a mail server with TLS and AUTH for stories about clients. What it hears, what the
# handshake came to and each message go to FILE, a line each: "C:" what a client said, "T:" TLS, "M:" the subject of a message,
# "S:" the connection.
#   cert, key    PEM files: offers STARTTLS          wrap=yes   TLS from the first byte
#   ca           PEM file: asks the client for a certificate    max=1.2    no newer version of TLS
#   starttls     the reply to STARTTLS ("drop": none, the end); with "\n" between several lines
#   hand         instead of a handshake: close, garbage, silent, or inject (a reply in clear behind the 220)
#   after        after the handshake: close, or early (a reply more than was asked for)
#   auth, authtls  mechanisms that are offered in clear, and by TLS; authold: in the old form, "AUTH=..."
#   login        the reply to credentials ("235 2.7.0 Ok"); user "toto", password "secret" otherwise
#   challenge    what is asked in base64 (CRAM-MD5); endless: for ever
#   greeting, mail, rcpt, data, end: replies
import base64, hashlib, hmac, socket, ssl, sys, threading

port, file = int(sys.argv[1]), sys.argv[2]
opt = dict(word.split("=", 1) for word in sys.argv[3:])
lock = threading.Lock()

def note(text):
    with lock, open(file, "a") as out:
        out.write(text + "\n")

def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(opt["cert"], opt["key"])
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if opt.get("max") == "1.2":
        made.maximum_version = ssl.TLSVersion.TLSv1_2
    if "ciphers" in opt:
        made.set_ciphers(opt["ciphers"])
    if "ca" in opt:
        made.verify_mode = ssl.CERT_OPTIONAL
        made.load_verify_locations(opt["ca"])
    made.sni_callback = lambda stream, name, _: note("T: name %s" % name)
    return made

class Client:
    def __init__(self, stream):
        self.stream, self.tls, self.pending = stream, False, b""

    def say(self, text):
        self.stream.sendall(b"".join(line.encode() + b"\r\n" for line in text.split("\\n")))

    def line(self):
        while b"\n" not in self.pending:
            more = self.stream.recv(4096)
            if not more:
                raise EOFError
            self.pending += more
        line, self.pending = self.pending.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def ask(self, text):
        self.say(text)
        return self.line()

    def secure(self):
        self.stream = context().wrap_socket(self.stream, server_side=True)
        self.tls, self.pending = True, b""
        peer = self.stream.getpeercert(binary_form=True)
        version, cipher = self.stream.version(), self.stream.cipher()[0]
        note("T: %s %s%s" % (version, cipher, " with certificate" if peer else ""))

    def hello(self, word):
        lines = ["server"]
        for key in ("pipelining", "xforward"):
            if key in opt:
                lines.append(key.upper())
        if "cert" in opt and not self.tls and "wrap" not in opt and "silent" not in opt:
            lines.append("STARTTLS")
        mechanisms = opt.get("authtls", opt.get("auth")) if self.tls else opt.get("auth")
        if mechanisms is not None:
            lines.append("AUTH " + mechanisms)
        if "authold" in opt:
            lines.append("AUTH=" + opt["authold"])
        lines.append("8BITMIME")
        if opt.get("after") == "early" and self.tls:
            lines[-1] += "\\n250 2.1.0 early"
        self.say("\\n".join("250%s%s" % ("-" if at + 1 < len(lines) else " ", line) for at, line in enumerate(lines)))

    def auth(self, words):
        b64 = lambda text: base64.b64encode(text.encode()).decode()
        plain = lambda text: base64.b64decode(text).decode()
        mechanism = words[1].upper()
        if "endless" in opt:
            while True:
                note("C: " + self.ask("334 " + b64("more")))
        if mechanism == "PLAIN":
            given = plain(words[2] if len(words) > 2 else self.ask("334 ")).split("\0")[1:]
        elif mechanism == "LOGIN":
            given = [plain(words[2]) if len(words) > 2 else plain(self.ask("334 " + b64("Username:")))]
            given.append(plain(self.ask("334 " + b64("Password:"))))
        elif mechanism == "CRAM-MD5":
            challenge = opt.get("challenge", b64("<1.2@server>"))
            user, digest = plain(self.ask("334 " + challenge)).split(" ")
            fine = hmac.new(b"secret", plain(challenge).encode(), hashlib.md5).hexdigest() == digest
            given = [user, "secret" if fine else "wrong"]
        elif mechanism.startswith("SCRAM-"):
            given = self.scram(mechanism[6:].replace("-", "").lower(), plain(words[2]))
        else:
            given = [plain(words[2] if len(words) > 2 else self.ask("334 "))]
        note("C: credentials " + " ".join(given).replace("\1", "^"))
        if "login" in opt:
            self.say(opt["login"])
        else:
            self.say("235 2.7.0 Ok" if given in (["toto", "secret"],) else "535 5.7.8 Error: authentication failed")

    def scram(self, name, first): # RFC 5802
        parts = dict(part.split("=", 1) for part in first.split(",")[2:])
        answer = "r=%sserver,s=%s,i=4096" % (parts["r"], base64.b64encode(b"salt").decode())
        final = base64.b64decode(self.ask("334 " + base64.b64encode(answer.encode()).decode())).decode()
        unproved, proof = final.rsplit(",p=", 1)
        salted = hashlib.pbkdf2_hmac(name, b"secret", b"salt", 4096)
        sign = lambda key, text: hmac.new(key, text, name).digest()
        said = ",".join((first[3:], answer, unproved)).encode()
        key = sign(salted, b"Client Key")
        signature = sign(hashlib.new(name, key).digest(), said)
        fine = bytes(a ^ b for a, b in zip(key, signature)) == base64.b64decode(proof)
        own = sign(sign(salted, b"Server Key"), said)
        self.ask("334 " + base64.b64encode(b"v=" + base64.b64encode(own)).decode())
        return [parts["n"], "secret" if fine else "wrong"]

    def serve(self):
        if "wrap" in opt:
            self.secure()
        self.say(opt.get("greeting", "220 server ESMTP"))
        while True:
            line = self.line()
            words = line.split(" ")
            word = words[0].upper()
            note("C: " + (line if word != "AUTH" else " ".join(words[:2])))
            if word in ("EHLO", "HELO", "LHLO"):
                self.hello(word)
            elif word == "STARTTLS":
                reply = opt.get("starttls", "220 2.0.0 Ready")
                if reply == "drop":
                    return
                if opt.get("hand") == "inject":
                    self.stream.sendall(b"220 2.0.0 Ready\r\n250-injected\r\n250 AUTH PLAIN\r\n")
                else:
                    self.say(reply)
                if not reply.startswith("220"):
                    continue
                if opt.get("hand") in ("close", "garbage", "silent"):
                    self.stream.recv(1 << 16)
                    if opt["hand"] == "garbage":
                        self.stream.sendall(b"this is no handshake\r\n" * 20)
                    if opt["hand"] == "silent":
                        self.line()
                    return
                self.secure()
                if opt.get("after") == "close":
                    return
            elif word == "AUTH":
                self.auth(words)
            elif word == "MAIL":
                self.say(opt.get("mail", "250 2.1.0 Ok"))
            elif word == "RCPT":
                self.say(opt.get("rcpt", "250 2.1.5 Ok"))
            elif word == "DATA":
                self.say(opt.get("data", "354 go"))
                if "data" in opt:
                    continue
                while True:
                    text = self.line()
                    if text == ".":
                        break
                    if text.startswith("Subject:"):
                        note("M: " + text)
                self.say(opt.get("end", "250 2.0.0 Ok: taken"))
            elif word == "QUIT":
                self.say("221 2.0.0 Bye")
                return
            else:
                self.say("250 2.0.0 Ok")

def client(stream):
    stream.settimeout(60)
    one = Client(stream)
    note("S: open from %s" % stream.getpeername()[0])
    try:
        one.serve()
    except EOFError:
        pass
    except (OSError, ValueError) as error:
        note("T: failed %s" % getattr(error, "reason", None) or type(error).__name__)
    try:
        one.stream.close()
    except OSError:
        pass
    note("S: closed")

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", port))
listener.listen(20)
while True:
    threading.Thread(target=client, args=(listener.accept()[0],), daemon=True).start()
