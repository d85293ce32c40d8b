# How our client speaks TLS with one host: by which level, and what it thinks of its certificate.
. /run/box/machine/story.sh
. $M/mx.sh
authority; certificate mx mx.test; certificate other elsewhere.test; self_signed self mx.test; expired old mx.test
mx 2501 cert=/tmp/mx.pem key=/tmp/mx.key ca=/tmp/ca.pem
mx 2502
mx 2503 cert=/tmp/self.pem key=/tmp/self.key max=1.2
mx 2504 cert=/tmp/old.pem key=/tmp/old.key
mx 2505 cert=/tmp/other.pem key=/tmp/other.key
mx 2506 cert=/tmp/mx.pem key=/tmp/mx.key wrap=yes
mx 2507 cert=/tmp/mx.pem key=/tmp/mx.key
postconf -e smtp_tls_loglevel=1 smtp_tls_CAfile=/tmp/ca.pem
start
L=smtp_tls_security_level
established() { expect "$LOGGED" "smtp\[[0-9]+\]: $1 TLS connection established to mx.test\[127.0.0.1\]:$2: TLSv1\.[23] with cipher [-A-Z0-9_]+ \(256/256 bits\)"; }
# May, and whom we know.
try 2501 $L=may
established Trusted 2501
expect "$LOGGED" ': TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 \(256/256 bits\) key-exchange X25519 server-signature RSA-PSS \(2048 bits\) server-digest SHA256$'
expect "$LOGGED" 'relay=mx.test\[127.0.0.1\]:2501, .*dsn=2.0.0, status=sent \(250 2.0.0 Ok: taken\)$'
same "$(commands 2501)" "EHLO STARTTLS EHLO MAIL RCPT DATA QUIT "
expect "$(heard 2501)" '^T: TLSv1.3 TLS_AES_256_GCM_SHA384$'
try 2502 $L=may
expect "$LOGGED" 'status=sent'
expect_not "$LOGGED" 'TLS'
try 2503 $L=may
established Untrusted 2503
expect "$LOGGED" 'TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 \(256/256 bits\)$'
expect "$LOGGED" 'status=sent'
# None, and what was offered.
try 2501 $L=none smtp_tls_note_starttls_offer=yes
expect "$LOGGED" 'smtp\[[0-9]+\]: Host offered STARTTLS: \[mx.test\]$'
expect_not "$(heard 2501)" STARTTLS
# Encrypt: nothing goes in clear.
try 2502 $L=encrypt
expect "$LOGGED" 'relay=mx.test\[127.0.0.1\]:2502, .*dsn=4.7.4, status=deferred \(TLS is required, but was not offered by host mx.test\[127.0.0.1\]\)$'
same "$(commands 2502)" "EHLO QUIT "
try 2503 $L=encrypt
expect "$LOGGED" 'status=sent'
# Verify: the host's own name, by an authority that we know.
try 2501 $L=verify
established Verified 2501
expect "$LOGGED" 'status=sent'
unverified() { expect "$LOGGED" "$2"; established Untrusted $1; expect "$LOGGED" 'dsn=4.7.5, status=deferred \(Server certificate not verified\)$'; expect_not "$(heard $1)" '^C: MAIL'; }
try 2503
unverified 2503 'smtp\[[0-9]+\]: certificate verification failed for mx.test\[127.0.0.1\]:2503: self-signed certificate$'
try 2504
unverified 2504 'smtp\[[0-9]+\]: server certificate verification failed for mx.test\[127.0.0.1\]:2504: certificate has expired$'
try 2505
unverified 2505 'smtp\[[0-9]+\]: server certificate verification failed for mx.test\[127.0.0.1\]:2505: num=62:hostname mismatch$'
try 2505 smtp_tls_verify_cert_match=hostname,elsewhere.test
established Verified 2505
try 2501 smtp_tls_CAfile=/tmp/self.pem
unverified 2501 'smtp\[[0-9]+\]: certificate verification failed for mx.test\[127.0.0.1\]:2501: untrusted issuer /O=Story/CN=Test CA$'
try 2503
established Verified 2503
# Secure: the next hop's name, or one below it; anchors are the only authorities then.
try 2501 $L=secure smtp_tls_trust_anchor_file=/tmp/ca.pem
established Verified 2501
try 2501 smtp_tls_trust_anchor_file=/tmp/nothing.pem
expect "$LOGGED" 'warning: error opening trust anchor file: /tmp/nothing.pem: No such file or directory$'
expect "$LOGGED" 'relay=none, .*dsn=4.7.5, status=deferred \(client TLS configuration problem\)$'
try 2501 smtp_tls_trust_anchor_file= smtp_tls_CAfile= smtp_tls_CApath=/tmp/hashed
established Verified 2501
# Fingerprints, of the certificate or of its key.
try 2503 $L=fingerprint smtp_tls_CApath= smtp_tls_fingerprint_digest=sha1 "smtp_tls_fingerprint_cert_match=$(openssl x509 -in /tmp/self.pem -noout -fingerprint -sha1 | sed 's/.*=//')"
established Verified 2503
try 2503 smtp_tls_fingerprint_digest=sha256 "smtp_tls_fingerprint_cert_match=$(openssl x509 -in /tmp/self.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -c | sed 's/.* //')"
established Verified 2503
try 2501
unverified 2501 'smtp\[[0-9]+\]: server certificate verification failed for mx.test\[127.0.0.1\]:2501: num=65:no matching DANE TLSA records$'
# A destination of its own, its name, its version, and ours.
printf '%s\n' '[mx.test]:2501 secure match=mx.test protocols=TLSv1.2 servername=mx.test ciphers=high exclude=AES256:CHACHA20' \
  '[mx.test]:2502 none' '[mx.test]:2503 encrypt match=mx.test' >/etc/postfix/tls_policy
postmap hash:/etc/postfix/tls_policy
chmod 600 /tmp/mx.key
try 2501 $L=encrypt smtp_tls_CAfile=/tmp/ca.pem smtp_tls_policy_maps=hash:/etc/postfix/tls_policy smtp_tls_cert_file=/tmp/mx.pem smtp_tls_key_file=/tmp/mx.key
expect "$LOGGED" 'Verified TLS connection established to mx.test\[127.0.0.1\]:2501: TLSv1.2 with cipher ECDHE-RSA-AES128-GCM-SHA256 \(128/128 bits\)$'
expect "$(heard 2501)" '^T: name mx.test$'
expect "$(heard 2501)" '^T: TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256 with certificate$'
# It signs, too.
certificate us srvdmz.virtualux.fr
chmod 600 /tmp/us.key
cat /tmp/us.key /tmp/us.pem >/tmp/chain.pem
try 2501 smtp_tls_policy_maps= $L=encrypt smtp_tls_cert_file= smtp_tls_chain_files=/tmp/chain.pem
expect "$(heard 2501)" '^T: TLSv1.3 TLS_AES_256_GCM_SHA384 with certificate$'
expect "$LOGGED" 'server-digest SHA256 client-signature RSA-PSS \(2048 bits\) client-digest SHA256$'
try 2502 smtp_tls_policy_maps=hash:/etc/postfix/tls_policy smtp_tls_chain_files=
expect "$LOGGED" 'status=sent'
try 2503
expect "$LOGGED" 'warning: smtp_tls_policy_maps, next-hop destination "\[mx.test\]:2503": attribute "match" invalid at security level "encrypt"$'
expect "$LOGGED" 'relay=none, .*status=deferred \(client TLS configuration problem\)$'
# TLS from the first byte.
try 2506 smtp_tls_policy_maps= $L=may smtp_tls_wrappermode=yes
expect "$LOGGED" 'warning: smtp_tls_wrappermode requires "smtp_tls_security_level = encrypt" \(or stronger\)$'
expect "$LOGGED" 'relay=none, .*dsn=4.3.0, status=deferred \(server unavailable or unable to receive mail\)$'
try 2506 $L=verify
established Verified 2506
expect "$LOGGED" 'status=sent'
# DANE without DNSSEC: opportunistic, or not at all.
try 2501 $L=dane smtp_tls_wrappermode=no
expect "$LOGGED" 'warning: \[mx.test\]:2501: dane configured with dnssec lookups disabled$'
established Trusted 2501
try 2501 $L=dane-only
expect "$LOGGED" 'relay=none, .*dsn=4.7.5, status=deferred \(client TLS configuration problem\)$'
# The older words.
try 2502 $L= smtp_enforce_tls=yes
expect "$LOGGED" 'dsn=4.7.4, status=deferred \(TLS is required, but was not offered'
try 2503 smtp_tls_enforce_peername=no
established Untrusted 2503
expect "$LOGGED" 'status=sent'
# LMTP has its own.
try 2507 default_transport=lmtp lmtp_host_lookup=native lmtp_tls_security_level=verify lmtp_tls_CAfile=/tmp/ca.pem lmtp_tls_loglevel=1
expect "$LOGGED" 'lmtp\[[0-9]+\]: Verified TLS connection established to mx.test\[127.0.0.1\]:2507: '
expect "$LOGGED" 'status=sent'
expect "$(heard 2507)" '^C: LHLO'
