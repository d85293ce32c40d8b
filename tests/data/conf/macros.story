# The macro language of main.cf
t 'smtpd_banner = $' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = $$' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = $$x' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = $(x' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name?}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name?x' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name?{x}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name?{x}:{y}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name?{x}:y}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name:{x}:{y}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name ? {x} : {y}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name?x:y}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${none:x}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${none:{x}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${none?{x}:{y}z}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${none}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = $none' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{a}=={a}?{y}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{a}=={a}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{a}!={a}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{a}={a}?{y}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{a} a {a} ? {y}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{a}<{b}?{y}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{2}<{10}?{y}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{2}<level{10}?{y}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{3.6} <level {3.10} ? {y}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{x}<level{10}?{y}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{a}=={a}?y:n}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{a}=={a}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{a} == {a} ? {y}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{a}=={b}?{y}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{a}=={a}?{y}:{n}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{a}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{$mail_name} == {Postfix} ? {y} : {n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = $-x' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${a-b}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${a b}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name+x}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name?{$mail_name}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${x$y}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = a$(mail_name)b' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = $(mail_name}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = $x' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = x $mail_name.y' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = $mail_name-x' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${ mail_name }' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name }' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${ mail_name?{x}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name? {x} }' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name? x }' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name?{ x }}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{ a } == {a} ? { y } : {n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = {$x}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name?${none:z}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{1.5} >=level {1.5.0} ? {y}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{01}=={1}?{y}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{-1}<{0}?{y}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{}=={}?{y}:{n}}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name?{x}:{y}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${mail_name:y}' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = $process_name' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{3}>level{2}?{a}:{b}}x' "$S" postconf -xh smtpd_banner
t 'smtpd_banner = ${{3} >level {x} ? {a}:{b}}x' "$S" postconf -xh smtpd_banner
# A test asks whether the text is empty as it stands.
t 'empty=\nx=$empty\nmydomain=[${x?yes}${x:no}]' "$S" postconf -xh mydomain
t 'mydomain=${myorigin?a}\nmyorigin=$mydomain' "$S" postconf -nx
# What defaults are computed from is read first; other parameters are expanded in search of tables.
t 'inet_protocols=$inet_protocols' "$S" postconf -n
t 'mydomain=$mydomain' "$S" postconf -n
t 'myhostname=x\nmydomain=$mydomain' "$S" postconf -n
t 'mynetworks_style=${a' "$S" postconf -M
t 'mynetworks=10.0.0.0/8\nmynetworks_style=${a' "$S" postconf -M
t 'smtpd_restriction_classes=${a' "$S" postconf -n
t 'relayhost=${a' "$S" postconf -n
t 'b=${a' "$S" postconf -n
t 'b=$c\nc=$b\nrelayhost=${mydomain?$b}' "$S" postconf -n
t 'process_id=$process_id' "$S" postconf -n
t 'loop=x$loop.$b$a\nb=1\na=1\nrelayhost=$loop' "$S" postconf -n
t 'mydomain=$mydestination' "$S" postconf -n
# Of what follows the mistake twenty characters are shown.
t 'a=1\nrelayhost=${a?{x}yyyyyyyyyyyyyyyyyyyyyyyyyyyyy}' "$S" postconf -n
t 'relayhost=${{a}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}' "$S" postconf -n
t 'relayhost=${a bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb}' "$S" postconf -n
t 'relayhost=${{a}==xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}' "$S" postconf -n
# A first line that begins with a blank continues nothing, and those that continue it go with it.
t '  a=b\n c=d\nb=c' "$S" postconf -n
t 'b=c' '  -o a=b\n  -o c=d\n'"$S" postconf -M
t 'b=c' '\tx unix - - - - - yyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n'"$S" postconf -M
# Overrides that are none.
t 'b=c' "$S"' -o {a b=c} -o { d = e f }' postconf -Mf
t 'a=$x' "$S"'\n  -o x=y' postconf -P
e 'a=b\n' 'smtp inet n - y - - smtpd\n' postconf -Me 'smtp/inet=smtp inet n - y - - smtpd -o {=c} -o {} -o { = } -o b -o =c'
e 'a=b\n' 'smtp inet n - y - - smtpd\n# c\nx unix - - - - - y\nsmtp inet n - n - - smtpd -v\n' postconf -Me 'smtp/inet=z inet n - y - - foo'
e 'a=b\n' 'smtp inet n - y - - smtpd\n' postconf z=1 z=2 z=3
# Several mistakes in one text: each of them is told, and what stands behind them may be looked at or not.
t 'a=1\np=${{}}!={$$}?{$}}' "$S" env NORANDOMIZE=1 postconf -hx p
t 'a=1\np=${a?{${{x} <= {$} ? {y}}}:{${{z}}}}' "$S" env NORANDOMIZE=1 postconf -x p
t 'a=1\nb=2\np=${a?{x}:{${{${{q}}} >= {$b} ? {y}}} ? {z}}' "$S" env NORANDOMIZE=1 postconf -x p
t 'a=1\nb=2\np=${{${{x} = {y}}} <= {${{z} = {$b}}} ? {y}}' "$S" env NORANDOMIZE=1 postconf -x p
t 'a=1\nb=2\np=${{x}} $b' "$S" env NORANDOMIZE=1 postconf -x p
t 'a=1\nb=2\nrelayhost=${{x} $b' "$S" env NORANDOMIZE=1 postconf -x relayhost
