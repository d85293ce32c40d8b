# postconf: which names mean something, braces, and the arguments of services
t 'smtpd_restriction_classes = foo bar\nfoo = yes' "$S" postconf -n
t 'bar = yes' 'foo inet - n n - 0 spawn\n -o smtpd_restriction_classes=bar' postconf -n
t 'smtpd_restriction_classes = a\na = 1' 'x unix - n n - 0 other -o a=2 -o b=3' postconf -n
t 'xx = proxy:ldap:foo' "$S" postconf -n
t 'header_checks = proxy:ldap:hh\nhh_domain = q\nhh_domainx = q' "$S" postconf -n
t 'zz = $yy\nyy = aap\ndb = memcache\naap_domain = q' 'x unix - n n - 0 other\n -o body_checks=$db:$zz' postconf -n
t 'mydestination = pipemap:{ldap:xxx, memcache:yy}x\nxxx_domain = foo\nyy_backup = b' "$S" postconf -n
t 'smtpd_client_restrictions = check_sender_access {\n  pipemap:{ldap:used} { search_order = foo, bar } }\nused_server_host = 1' "$S" postconf -n
t 'mydestination = {ldap:{q} ldap:q} ldap:z' "$S" postconf -n
t '' 'x unix - n n - 0 other -o always_bcc=pipemap:{ldap:xxx}y' postconf -n
t 'virtual_alias_maps = $virtual_maps' "$S" postconf -n
t 'virtual_maps = x' "$S" postconf -n
t '' "$S" postconf virtual_maps
t 'process_id = 5' "$S" postconf -h process_name
t '' 'x unix - n n - 0 other -o process_id=3 -o mail_name=q' postconf -P
t 'always_bcc = $foo' 'x unix - n n - 0 other -o foo=x' postconf -n
t 'foo = 1\nfoo = 1' "$S" postconf mail_name
printf 'junk = 1\nserver_host = x\n' >l.cf; t "mydestination = ldap:$PWD/l.cf" "$S" postconf mail_name 2>&1 | sed "s,$PWD,PWD,"
t 'mydestination = ldap:/nope/l.cf mysql:/etc pgsql:x/y sqlite:./c' "$S" postconf mail_name
t '' 'x unix - n n - 0 other -voa=b -vo c=$a -v -od=$c' postconf -Mf
t '' 'x unix - n n - 0 other -voa=b -vo c=$a -v -od=$c' postconf -Px
t '' 'x unix - n n - 0 other -o { a = {b} }x' postconf -M
t '' 'x unix - n n - 0 other { x y } {z w} {z} -o a=b' postconf -M
t '' 'x unix - n n - 0 other -o {mail_name = b} -- -o c=d {x y} {z}' postconf -Mf
t '' 'x unix - n n - 0 other -o {a}\ny unix - n n - 0 other -o {=x}\nz unix - n n - 0 other { q r ' postconf -M
t '' 'x unix - n n -? 0 other -\ny unix - n n ? 0 other -' postconf -M
t '' 'smtp inet n - n - - /x/smtpd\n -o mail_name=$process_name,$service_name' postconf -Mx
t '' 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx unix - n n - 0 other -v' postconf -F
t '' 'x unix - n n - 0 other\ny inet n - n - - other' postconf -M y x nope
e '' 'x unix - n n - 0 other\n' postconf -Fe x/unix/service=q x/unix/type=inet
e '' 'x unix - n n - 0 other\n' postconf -F 'x/unix/command=smtpd -voa=b {q r'
e '' 'x unix - n n - 0 other\n' postconf -F x/unix/=q
e '' 'x unix - n n - 0 other -oa=1 -o b=2 -o a=3 y\n' postconf -P x/unix/a=7 x/unix/c=8
e '' 'x unix - n n - 0 other -oa=1 -o b=2 -o a=3 y\n' postconf -PX x/unix/a
e '' '' postconf -X ''
