# postconf: showing
t 'x=y' "$S" postconf -n
t 'x=y\nz=$x\nsmtpd_banner=$z' "$S" postconf -n
t 'smtpd_banner=$nope' "$S" postconf -n
t 'smtpd_banner=$nope' "$S" postconf -d smtpd_banner
t 'smtpd_banner=$nope' "$S" postconf -h smtpd_banner mail_name
t 'foo_restrictions=permit\nsmtpd_restriction_classes=foo_restrictions' "$S" postconf -n
t 'rc=permit\nsmtpd_restriction_classes=rc' "$S" postconf -n rc
t 'my_dest=1' "foo unix - - - - - pipe user=x" postconf -n
t 'foo_time_limit=1\nfoo_destination_recipient_limit=2' "foo unix - - - - - pipe user=x" postconf -n
t 'smtp_destination_recipient_limit=2' "foo unix - - - - - pipe user=x" postconf -n
t 'policy_time_limit=1' "policy unix - - - - - spawn user=x" postconf -n
t 'x=1\nx=2\nbiff=yes\nbiff=no' "$S" postconf -n
t 'biff = yes # c' "$S" postconf -n
t 'no eq\nbiff=no' "$S" postconf -n
t '= v' "$S" postconf -n
t '  biff=no' "$S" postconf -n
t 'biff=no\n  continued\n\tmore\n\n# c\n  again' "$S" postconf -n
t 'mydestination=a, b,\n   c' "$S" postconf mydestination
t 'mydestination=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb,\n   ccccccccccccccccccccccccccccc' "$S" postconf -f mydestination
t 'biff=no' 'smtp inett n - y - - smtpd' postconf -M
t 'biff=no' 'smtp inet n - y - -' postconf -M
t 'biff=no' 'smtp inet x - y - - smtpd' postconf -M
t 'biff=no' 'smtp inet n - y x - smtpd' postconf -M
t 'biff=no' "$S -o {x = y z" postconf -M
t 'biff=no' "$S" postconf -M smtp/inet
t 'biff=no' "$S" postconf -M smtp/unix
t 'biff=no' "$S" postconf -F smtp/inet/chroot
t 'biff=no' "$S" postconf -Fh smtp/inet/chroot
t 'biff=no' "$S" postconf -F smtp/inet/nope
t 'biff=no' "$S" postconf -F '*/inet/*'
t 'biff=no' "$S\n -o biff=yes" postconf -P '*/*/biff'
t 'biff=no' "$S\n -o biff=yes" postconf -P 'smtp/inet/none'
t 'biff=no' "$S\n -o biff=yes" postconf -Ph 'smtp/inet/biff'
t 'biff=no' "$S\n -o smtpd_banner=\$mail_name" postconf -Px
t 'biff=no' "$S\n -o smtpd_banner=\$mail_name" postconf -Mx
t 'biff=no' "$S" postconf -n -d
t 'biff=no' "$S" postconf -M -F
t 'biff=no' "$S" postconf -e
t 'biff=no' "$S" postconf -e biff
t 'biff=no' "$S" postconf -e 'a b=c'
t 'biff=no' "$S" postconf -# nope
t 'biff=no' "$S" postconf -X 'biff=x'
t 'biff=no' "$S" postconf nope
t 'biff=no' "$S" postconf -C foo
t 'biff=no' "$S" postconf -C builtin,service mail_name
t 'biff=no' "$S" postconf -o mail_name=x mail_name
t 'biff=no' "$S" postconf -o nope=x nope
t 'biff=no' "$S" postconf -n -o biff=yes
t 'biff=no' "$S" postconf -hH biff
t 'biff=no' "$S" postconf -m -l
t 'biff=no' "$S" postconf -x -n -e a=b
t 'biff=' "$S" postconf biff
t 'biff=' "$S" postconf -h biff
t 'biff=' "$S" postconf -H biff
t 'smtpd_banner=$a\na=$a' "$S" postconf -x smtpd_banner
t 'smtpd_banner=$a\na=$a' "$S" postconf -n
t '' "$S" postconf -n
t 'smtp_tls_policy_maps=ldap:foo\nfoo_server_host=x' "$S" postconf -n
t 'virtual_maps=hash:x' "$S" postconf -n
t 'biff=no' "$S" postconf -c /none
t "smtpd_banner=$(python3 -c 'print(" ".join("x"*n for n in (50,8,9,10,11,60,75,76,77,90,3)))')" 'x unix - - - - - local' postconf -f smtpd_banner
t "smtpd_banner=$(python3 -c 'print(" ".join(["x"*61,"y"*73, "z"*3,"w"*200,"q"]))')" 'x unix - - - - - local' postconf -f smtpd_banner
t "smtpd_banner=$(python3 -c 'print(" ".join(["x"*62,"y"*74, "z"*3,"w"*200,"q"]))')" 'x unix - - - - - local' postconf -f smtpd_banner
t "smtpd_banner=$(python3 -c 'print(" ".join(["x"*48,"y"*15, "z"*75,"w"*76,"q"]))')" 'x unix - - - - - local' postconf -f smtpd_banner
t "smtpd_banner=$(python3 -c 'print(" ".join(["x"*48,"y"*16, "z"*75,"w"*76,"q"]))')" 'x unix - - - - - local' postconf -f smtpd_banner
t "smtpd_banner=$(python3 -c 'print(" ".join(["x"*48,"y"*17, "z"*75,"w"*76,"q"]))')" 'x unix - - - - - local' postconf -f smtpd_banner
t 'smtpd_banner=a${mail_name?{ x }}b${mail_name? {y } }${none:{ q }}c' 'x unix - - - - - local' postconf -x smtpd_banner
t 'biff=no' 'x unix - - - - - local' postconf -x config_directory
t 'smtpd_restriction_classes=rc, $foo' 'x unix - - - - - local\n -o rc=permit -o biff=$w -o w=1' postconf -n
t 'w=1' 'x unix - - - - - local\n -o biff=$w -o myorigin=$v -o v=2 -o unused=3' postconf -n
t 'biff=no' 'bad' postconf -n
t 'biff=no' 'bad' postconf -d biff
t 'biff=no' 'bad' postconf -h biff
