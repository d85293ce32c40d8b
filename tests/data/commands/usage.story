# The command lines of sendmail and its kin, and what they are refused with.
queue; sendmail -Z
sendmail -Z -Y x
sendmail -f
sendmail -n x
sendmail
echo hi | sendmail -t
echo hi | sendmail -f eve@x.example -t
echo hi | sendmail -f "" -t
sendmail -B 9BIT x
sendmail -B 8bitmime x
sendmail -X /tmp/x x
sendmail -Xfoo x
sendmail -XVab x
sendmail -XV -f '' x
sendmail -oA x
sendmail -qX
sendmail -qSfoo
sendmail -qf
sendmail -qI
sendmail -qR
sendmail -q15m
sendmail -q0
sendmail -q
sendmail -qIABC
sendmail -qRfoo.bar
sendmail -q x
sendmail -qRfoo.bar x
sendmail -qIfoo x
sendmail -qRfoo -bp
sendmail -qIfoo -bi
sendmail -bh
sendmail -bH
sendmail -bz
sendmail -b
sendmail -bt
sendmail -bp x
sendmail -bi x
sendmail -bs x
sendmail -bd x
sendmail -bp -t
sendmail -q -t
sendmail -bv -v x
sendmail -bv -N never x
sendmail -bv -R full x
sendmail -bv -t x
sendmail -bv
sendmail --help
mailq x
mailq -Z
newaliases x
newaliases -Z
newaliases
sendmail -bi -oA/nonexistent/aliases
sendmail -C /nonexistent x
sendmail -C /nonexistent/main.cf x
MAIL_CONFIG=/nonexistent sendmail x
queue 'foo bar'; sendmail x
mailq
queue message_size_limit=abc; sendmail x
newaliases
mailq
postqueue -p
postsuper -p
postcat /dev/null
queue; postqueue
postqueue -Z
postqueue -s
postqueue -p x
postqueue -p -j
postqueue -f -f
postqueue -i a -s b
postqueue x
postqueue -c /nonexistent -p
postqueue -i ''
postqueue -i A/B
postqueue -s ''
postqueue -s 'a b'
postqueue -s '[1.2.3.4]'
postqueue -s foo.bar
postqueue -f
postqueue -i ABC
postqueue -p
postqueue -j
postsuper -Z
postsuper -d
postsuper -d ALL x
postsuper -d ALL corrupt
postsuper -c /nonexistent
postcat -Z
postcat -f x
postcat -c /nonexistent
postcat /nonexistent
postcat -q
postcat -q ABC
postcat -q ../x
postcat -q ''
postlog -Z
postlog -p
postlog -p bad hello
postlog -c /nonexistent hello
postkick -Z
postkick public
postkick public nosuch W
postlock -Z
postlock
