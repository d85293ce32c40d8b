# lmdb and pcre, which Debian has in packages of their own
o 'smtputf8_enable=yes' true
printf 'A 1\nb x y\na dup\n' >lm1; postmap lmdb:lm1
postmap -q a lmdb:lm1
postmap -q B lmdb:lm1
postmap -q c lmdb:lm1
postmap -s lmdb:lm1
printf 'z new\na other\n' | postmap -i lmdb:lm1
printf 'a other\n' | postmap -ir lmdb:lm1; postmap -s lmdb:lm1
postmap -d b lmdb:lm1
postmap -d b lmdb:lm1
postmap -q a lmdb:nn
postmap -s lmdb:nn
: >lme; postmap lmdb:lme; postmap -s lmdb:lme; postmap -q x lmdb:lme
printf '%600d v\n' 1 | tr -s ' ' k >lml; postmap lmdb:lml
postmap -N lmdb:lm1; postmap -q a lmdb:lm1
echo foo >bad.lmdb; postmap -q a lmdb:bad
postalias lmdb:al; postalias -q user lmdb:al; postalias -s lmdb:al | grep -v YP
for n in $(seq 3000); do printf "key$n %0$((n*3))d\n" $n; done >many; postmap lmdb:many; sed 's/ .*//' many | postmap -q - lmdb:many | cmp - <(tr ' ' '\t' <many)
postmap -q - pcre:patterns.pcre <pcre.keys
sed 3,4d patterns.pcre >p2; for k in xab nores foobar BAZ 'LOWER x' opendoor open a c 'anch x' 'x anch' gaxbx 'x space' named unk ué x xy iff; do postmap -q "$k" pcre:p2 2>/dev/null; done
postmap -s pcre:patterns.pcre 2>&1 | tail -1
postmap pcre:patterns.pcre
postmap -q x pcre:/nonexist
postmap -q AbC 'pcre:{ { /(b)/ got $1 } }'
postmap -fq AbC 'pcre:{ { /(b)/ got $1 } }'
postmap -q a 'pcre:{ { /a/ x }'
postmap -q abc 'pcre:{ { if /a/ }, { /b/ both }, { endif } }'
postconf -m | grep -E '^(lmdb|pcre)$'
q() { printf 'dbpath=sq.db\n%b\n' "$1" >./q.cf; shift; for k; do postmap -q "$k" sqlite:./q.cf; done; }; q "query=select v from t where k='%s'" a joe@x.org "o'b" JOE@X.org nope big n emp
q() { printf 'dbpath=sq.db\n%b\n' "$1" >./q.cf; shift; for k; do postmap -q "$k" sqlite:./q.cf; done; }; q "query=select v,w from t where k='%s'\nresult_format=<%s>" a joe@x.org emp; q "query=select v from t where k='%u@%d'" a joe@x.org @x.org
q() { printf 'dbpath=sq.db\n%b\n' "$1" >./q.cf; shift; for k; do postmap -q "$k" sqlite:./q.cf; done; }; q "query=select v from t where k='%d'\ndomain=x.org y.org" u@x.org u@z.org @x.org x.org; q "query=select v from t where k='%s'\nresult_format=%u|%d|%s|%S" a big emp
q() { printf 'dbpath=sq.db\n%b\n' "$1" >./q.cf; shift; for k; do postmap -q "$k" sqlite:./q.cf; done; }; q "query=select v from t where k='%s'\nexpansion_limit=1" a joe@x.org; q "table=t\nselect_field=v\nwhere_field=k\nadditional_conditions=and 1=1" a; q "query=select v from t where k='%2.%1'" u@x.org u@a.b.x.org x.org
q() { printf 'dbpath=sq.db\n%b\n' "$1" >./q.cf; shift; for k; do postmap -q "$k" sqlite:./q.cf; done; }; q "query=select '%s:%u:%d:%%:%U:%D'" a@b a; q "" a; q "query=selekt v" a; q "query=select '%z'" a; q "query=select v from t where k='%s'\nresult_format=%1-%s" joe@x.org emp a
printf 'query=select 1\n' >./q.cf; postmap -q a sqlite:./q.cf; printf 'dbpath=/none/db\nquery=select 1\n' >./q.cf; postmap -q a sqlite:./q.cf
postmap sqlite:./q.cf; postmap -s sqlite:./q.cf; postmap -d a sqlite:./q.cf; postmap -q a sqlite:./none.cf
postmap -q $'a\xff' static:x; postmap -q $'a\xff' inline:{a=b}; printf 'k v\xff\n' >nv; postmap -u nv; postmap -q k nv; postmap -uq k nv | od -c; postmap -d $'a\xff' nv; postmap -q $'a\xff' 'regexp:{{/a/ b}}'
