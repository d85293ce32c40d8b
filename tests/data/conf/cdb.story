# cdb tables
o 'smtputf8_enable=yes' true
printf 'A 1\nb x y\na dup\n' >cd1; postmap cdb:cd1
postmap -q a cdb:cd1
postmap -q B cdb:cd1
postmap -q c cdb:cd1
postmap -i cdb:cd1
postmap -d a cdb:cd1
postmap -s cdb:cd1
postmap -q a cdb:nn
printf 'A 1\nb x y\n' >cd1; postmap cdb:cd1; od -An -tx1 cd1.cdb | tail -6
postmap -N cdb:cd1; od -An -tx1 cd1.cdb | tail -6; postmap -q a cdb:cd1
echo foo >bad.cdb; postmap -q a cdb:bad
postalias cdb:al
postalias -q user cdb:al
for n in $(seq 300); do echo key$n value$n; done >many; postmap cdb:many; sed 's/ .*//' many | postmap -q - cdb:many | cmp - <(tr ' ' '\t' <many)
