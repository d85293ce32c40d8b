# postmap and postalias: building, querying, listing, changing; all table types without a server
o smtputf8_enable=yes true
postmap nofile
postmap texthash:m
postmap foo:m
postmap
postmap -x
postmap -q
postmap -q a
postmap m
ls -l m.db | cut -c1-20
postmap -s m | sort
postmap -d a m
postmap -d a m
postmap -d a nofile
postmap -q a -s m
postmap -q a -d b m
postmap -i -r m </dev/null
printf 'a\nzz\nc\n' | postmap -q - m
printf 'a\nzz\nc\n' | postmap -d - m
postmap -s m | sort
postmap -w m
postmap -r m
postmap -s m | sort
postmap -c /none m
postmap -q a m m2
postmap -q a regexp:r
postmap -s regexp:r 2>&1 | tail -1
postmap -s static:a
postmap -d a texthash:m
postmap -s texthash:m | sort
postmap -b m
postmap -h -q a m
postmap -q 192.168.1.1 cidr:cidrs
postmap -q ::1 cidr:cidrs
postalias al
postalias -s al | sort | grep -v YP
postmap -s al | sort | grep -v YP
postalias -q USER al
postalias -q '"quoted user"' al
postalias -q 'quoted user' al
postmap -F m
postmap -F f
postmap -Fq k f
postmap -q k f
postmap -Fs f
postmap u
postmap -s u
postmap -u u
postmap -q x u
postmap -q $'\xff' -u u
postmap -n m2
postmap -q a m2
postalias -m a
for f in -h -b -hb -hm -bm -hbm; do postmap $f -q - static:X < msg; done
printf 'Not a header\nSubject: x\n\nbody\n' | postmap -hb -q - static:X
printf 'Subject x\n: foo\nA B: x\n\nbody\n' | postmap -h -q - static:X
printf 'From x\nSubject: foo\n cont\n\n.\n..\n' | postmap -hb -q - static:X
printf ' lead\nz y\n  cont\nbad\nzz 1\n' | postmap -i m3
postmap -s m3
postalias al3
postalias -s al3 | grep -v YP
postalias al4
postalias -s al4 | grep -v YP | sort
printf '/a/ x\n cont\n/b\n cont\n' >r5; postmap -q a regexp:r5
chmod 600 m3; rm m3.db; postmap m3; ls -l m3.db | cut -c1-20
chmod 664 m3; rm m3.db; postmap m3; ls -l m3.db | cut -c1-20
rm m3.db; chmod 600 m3; postmap -p m3; ls -l m3.db | cut -c1-20
postmap -q a 'static:{a'
postmap -q a 'static:a b'
postmap -q a 'unix:foo'
postmap -q a 'unionmap:{static:a'
postmap -q a 'unionmap:{foo}'
postmap -q a 'randmap:{}'
postmap -q a 'randmap:{a}'
postmap -q a 'pipemap:{static:a,fail:b}'
postmap -q a 'pipemap:{inline:{a=b},inline:{b=c}}'
postmap -q a 'inline:{a}'
postmap -q a 'inline:{}'
postmap -q a 'inline:{a=1,a=2}'
postmap -q a 'inline:{{a=1}'
postmap -q a 'inline:{{a=1 2}, b=3}'
postmap -q b 'inline:{{a=1 2}, b=3}'
postmap -q a 'inline:{{a 1}}'
postmap -q a 'inline:{=1}'
postmap -q a 'inline:{a=}'
postmap -s 'inline:{a=1}'
postmap -q a 'texthash:/etc'
postmap -q a 'hash:/etc'
postmap -q a cidr:/none
postmap -q a nocolon
postmap -q a 'fail:a:b'
postmap -s 'fail:a:b'
postmap -q a 'regexp:{/x/ y}'
postmap -q x 'regexp:{{/x/ y}}'
postmap -q 127.0.0.1 'cidr:{{127.0.0.1 y}}'
postmap -q '' m
postmap -q a/b static:x static:y
postmap -q a btree:none
postmap btree:m
postmap -s btree:m
printf 'x\n\ny\n' | postmap -q - static:q
postmap -q a regexp:none
echo 'k v' > bad.db; postmap -q a bad
: > empty.db; postmap -q a empty
# Found by random tables.
printf '%s\n' '[::1]$1 x' '[::1]]' '[::1]/128x x' '[10.0.0.1]/8 x' '[fe80::1]/10 x' '[::1' >u; o '' postmap -q 1.2.3.4 cidr:u
printf '%s\n' '/a/!x OK' '/a/i!/b/ OK' '\a\ b' >u; o '' postmap -q a pcre:u
printf '%s\n' '/a/!x OK' '/c/i!/b/ OK' '\a\ b' >u; o '' postmap -q c regexp:u
printf '%s\n' 'a: b,' 'c: ,d,,e,' 'f:,' 'é: x' >u; o '' sh -c "postalias lmdb:u && postalias -s lmdb:u | grep -v YP_"
printf '%s\n' ' a 1' ' b 2' 'c 3' '"ünï 1' >u; touch -t 202001010000 u; o '' postmap -q c texthash:u
printf '%s\n' ' a 1' ' b 2' 'c 3' '"ünï 1' >u; o 'compatibility_level=3.6' postmap lmdb:u
