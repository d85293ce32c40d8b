# What sendmail makes of a message, as it stands in the maildrop.
queue; echo hi | send a
send '<>' </dev/null
echo hi | send ''
echo hi | send ' '
echo hi | send ,
echo hi | send '(comment)'
echo hi | send 'a b'
echo hi | send 'a,b'
echo hi | send 'A <a>, "B" <b>'
echo hi | send 'group: a, b;'
echo hi | send '"a b"@x'
echo hi | send 'a(com)@y'
echo hi | send 'a@b@c'
echo hi | send a -- b
echo hi | send -- -a
echo hi | send a -f b
echo hi | send -f '' a
echo hi | send -f '<>' a
echo hi | send -f 'X <a@b>' a
echo hi | send -f 'x y' a
echo hi | send -f 'x,y' a
echo hi | send -r x -f y a
echo hi | send -F '' a
echo hi | send -N success,delay -R hdrs -V abc -B8BITMIME -G a b
echo hi | send -N never -R FULL -B7BIT a
echo hi | send -N never,success a
echo hi | send -N foo a
echo hi | send -N '' a
echo hi | send -R foo a
echo hi | send -V '' a
echo hi | send -V 'x y' a
echo hi | send -XV -f x a
echo hi | send -XV+= -f x a
echo hi | send -V+= -f x a
echo hi | send -V += a
echo hi | send -v -f x a
echo hi | send -f x -bv a b
echo hi | send -f x -bv 'a b@c' ''
echo hi | send -U -c -m -x -e x -h 3 -L l -O o=p -p x -A foo -om -oi -oe -o7 -oZ a
echo hi | send -q -bm a
printf 'a\n.\nb\n' | send a
printf 'a\n.\nb\n' | send -i a
printf 'a\n.\nb\n' | send -oi a
printf '.' | send a
printf 'a\r\nb\r\n.\r\nc\r\n' | send a
printf 'From x y\nSubject: q\n\nb\n' | send a
printf '>From x y\nSubject: q\n\nb\n' | send a
printf 'no newline' | send a
printf '' | send a
printf '\n' | send a
printf 'To: a\nCc: b\nBcc: c\nX: y\n\nx\n' | send -t
printf 'To: a\n\nx\n' | send -t d
printf 'Resent-To: a\nTo: b\n\nx\n' | send -t
printf 'To: "A B" <a@b>, (c) x@y,\n  folded@z\n\nx\n' | send -t
printf 'To: a b, c d@e\n\nx\n' | send -t
printf 'to : a\n\nx\n' | send -t
printf 'To: a\nnot a header\nCc: b\n' | send -t
printf 'To: <>\n\nx\n' | send -t
printf 'Apparently-To: a\n\nx\n' | send -t
echo hi | send -t a
queue message_size_limit=1000; head -c 3000 /dev/zero | tr '\0' a | fold | send a
# What -t makes of headers: resent ones, those without an address, lines that do not end, routes.
for m in 'To: <>, a\n\n' 'To: "", a\n\n' 'To: a\nResent-To: <>\nResent-Bcc: b\n\n' 'To: a\nResent-From: b\nResent-Date: x\n\n' 'Resent-From: b\nTo: a\nResent-Cc: c\n\n'; do echo "== $m"; printf "$m" | send -t; done
for m in 'To: ""\n\n' 'To: a\nResent-To: ""\n\n' 'To: a\nResent-To: ;\n\n' ' x\nTo: a\n' '\tx\nTo: a\n\n'; do echo "== $m"; printf "$m" | send -t; done
for m in 'To: a@b\n\nbody' 'To: a@b\n\n' 'To: a@b\n' 'To: a@b' 'To: a@b\nbody' 'To:a@b\n cont' 'To:a@b\n\n\nx\r\ny\rz\n' 'To: <@a,@b:c@d>, @a:e@f\n\n' 'To: "open a@b,\n c\n'; do for o in -t x; do echo "== $m $o"; printf "$m" | send $o; done; done
for m in 'To: a@b:c, [a]@b, a[b]c@d, <@>, @, <@b>, a@\n\n' 'To: a.,b,.c\nTo : d\n\n' 'x: y\nfoo\nTo: a\n\n' 'To: "a\\\\"b"@c, "x  y" , (q(r)s) t\n\n'; do echo "== $m"; printf "$m" | send -t y; done
send '<@a,@b:c@d>, @x:y@z' </dev/null
send -f '<@a:s@t>' x </dev/null
queue message_size_limit=400; for n in 200 290 400; do printf "To: a\n\n$(head -c $n /dev/zero | tr '\0' x)\n" | send -f s@t -t | grep -v xxx; done
echo hi | send -V -E a
echo hi | send -v -x -L tag -om -oX -odb -f x a
echo hi | send -x -v -f x a
echo hi | send -N SUCCESS -f x '<>'
printf 'Subject: x\n\nhi\n' | send -N success -t -f x 'undisclosed:;' a
echo hi | send -V é -f x a
