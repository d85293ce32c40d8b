# postmap: keys, sources and values out of the common
printf '"" x\n' >t; o '' postmap -n lmdb:t; o '' postmap -q '' lmdb:t
printf 'a b\n' >t; o '' postmap lmdb:t; o '' postmap -d '' lmdb:t
printf 'a b\nc d\n' >t; o '' postmap lmdb:t; printf 'a\n\n' | o '' postmap -d - lmdb:t; o '' postmap -s lmdb:t
mkdir dir; o '' postmap hash:dir; o '' postmap -s hash:dir; ls dir.db
o '' postmap -s
o '' postalias -s
printf 'a b\n' >t; rm -f t.cdb; chmod 600 t; o '' postmap -p cdb:t; stat -c %a t.cdb; o '' postmap cdb:t; stat -c %a t.cdb; chmod 644 t
printf 'A : b\nC\n\nx\n' | o '' postmap -hq - static:x
printf 'Content-Type: MULTIPART/digest; boundary=q\n\n--q\n\nS: t\n\nu\n--q\nContent-Type: text/plain\n\nv\n--q--\n' | o '' postmap -hmq - static:x
printf 'Content-Type: multipart/digest; boundary=q\n\n--q\n\nS: t\n\nu\n--q\nContent-Type: text/plain\n\nv\n--q--\n' | o '' postmap -bmq - static:x
printf 'C\n' >f; o '' postmap -Fq a static:f; o '' postmap -Fq a 'randmap:{f}'; o '' postmap -Fq a 'inline:{a=f}'
printf 'C\n' >f; o '' postmap -Fq a 'regexp:{{/a/ f}}'; o '' postmap -Fq a 'pcre:{{/a/ f}}'; o '' postmap -Fq 1.2.3.4 'cidr:{{1.2.3.4 f}}'
o '' postmap -Fq a static:gone
o '' postmap -Fq a 'inline:{a=gone}'
o '' postmap -Fq a 'regexp:{{/a/ gone}}'
o '' postmap -Fq a 'cidr:{{1.2.3.4 gone}}'
printf 'a gone\nb f\n' >t; printf 'C\n' >f; touch -d '1 hour ago' t; o '' postmap -Fq b texthash:t
printf '\303\204 x\n' >t; touch -d '1 hour ago' t; o '' postmap -q a regexp:t
printf '\377 x\n' >t; touch -d '1 hour ago' t; o '' postmap -q a cidr:t
o 'default_database_type =' postmap -q a static:x
o 'syslog_facility = x' postmap -q a static:x
o 'default_verp_delimiters = x' postmap -q a static:x
o 'default_verp_delimiters = +x' postmap -q a static:x
o 'maillog_file = x' postmap -q a static:x
o 'process_id_directory =' postmap -q a static:x
# NORANDOMIZE, which scripts set that compare outputs: warnings and entries in the order of the reference's hash tables
export NORANDOMIZE=1; t 'ldapxx = proxy:ldap:lf\nlf_domain = b\nlf_domainx = b\nmx = proxy:mysql:mf\nmf_domain = b\nmf_domainx = b\npx = b\nqx = b\nrx = b\nsx = b\ntx = b\nux = b\nvx = b\nwx = b' "$S\n -o xxx=yyy -o aaa=bbb -o name1=value1" postconf -n
export NORANDOMIZE=1; t 'process_id=yyy\nprocess_name=xxx\nservice_name=z' '' postconf -x process_name
export NORANDOMIZE=1; for i in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do echo "Key$i $i"; done >t; o '' postmap -s texthash:t; o '' postmap -fs texthash:t; o '' postmap -s 'inline:{a=1,b=2,c=3,{Dd=x y},eee=4}'
# inline: keys in quotes
for t in '{{"q r"@b=x}}' '{{"q=r"@b=x}}' '{{"q r = x}}' '{{a b=c}}' '{{ a = b = c}}' '{ a=b, c = d }'; do o '' postmap -s "inline:$t"; echo "$?"; done
