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
