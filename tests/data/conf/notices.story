# postconf -b and -t: the texts of notices
o 'maximal_queue_lifetime=3' postconf -t
postconf -b
printf '# c\nfailure_template = <<EOF\nCharset: utf-8\nFrom: X <x>\nSubject: S $mail_name\n\nHello $myhostname ${mail_name}\n $delay_warning_time_hours $maximal_queue_lifetime_days\nEOF\n\ndelay_template = <<END\nSubject: D\n\nshort\nEND\n' >tpl; postconf -t tpl
postconf -b tpl
printf 'foo_template = <<EOF\nx\nEOF\n' >t2; postconf -t t2 2>&1 | sort -u
printf 'failure_template = <<EOF\nx\n' >t3; postconf -t t3 2>&1 | sort -u
printf 'failure_template = <<EOF\nBad: x\n\nhello\nEOF\n' >t5; postconf -t t5
printf 'failure_template = <<EOF\nSubject: x\n\nhello ${\nEOF\n' >t6; postconf -b t6
printf 'failure_template = <<EOF\n\n$foo\nEOF\n' >t7; postconf -b t7
printf 'failure_template = <<EOF\n\nh\303\251\nEOF\n' >t7; postconf -b t7
printf 'failure_template = <<EOF\nSubject: x\nEOF\n' >t7; postconf -t t7
printf 'failure_template = <<EOF\nSubject: x\nno header\n\nhello\n\nEOF\n' >t7; postconf -t t7
printf 'verify_template = <<EOF\nPostmaster-Subject: b\n\nt\nEOF\n' >t8; postconf -t t8
printf 'junk\nverify_template = <<EOF\nFrom: a\n\nt\nEOF\n' >t8; postconf -t t8
postconf -b none
postconf -t tpl tpl
postconf -o a=b -b
