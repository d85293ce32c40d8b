# postcat on queue files and on others.
queue; postcat </dev/null
echo hello | postcat
printf 'X\000E\000' >f; postcat f
postcat .
printf 'S\001xM\000N\004a: bN\002 cN\000N\003d:eX\000R\001yE\000' >f; for o in '' -b -e -h -d -o -r -bh -be -he -do; do echo "== $o"; postcat $o f; done
postcat f f | wc -l
postcat <f | head -2
cat f | postcat
postcat -s 3 f
postcat -s 999 f
postcat -s x f
printf 'S\001xM\000L\003abcN\003defw\003ghiL\001zX\000E\000' >f; postcat f; postcat -d f
for c in A C D F I K L O P R S T V W c e f i n o r x '<' '>' /; do printf 'S\001x%s\0041234M\000X\000E\000' "$c" >f; postcat -d f | sed -n 3p; done
printf 'A\020create_time=1234T\0041234A\005a=bcdA\003fooW\0041234S\001y' >f; postcat f
printf 'S\001xp\017             22M\000R\001aR\001bM\000N\001cX\000E\000' >f; postcat f; postcat -o f; cat f | postcat
printf 'S\001xp\002abM\000' >f; postcat f
printf 'S\001xp\00299M\000' >f; postcat f
printf 'S\001xM\000N\003abc' >f; postcat f
printf 'S\001xM\000N\003abcE\000trailing' >f; postcat f
printf 'S\001xS\001yX\000R\001aE\000' >f; postcat f
printf 'S\377\377\377\377\377\377x' >f; postcat f
printf 'S\200\200\001x' >f; postcat f
printf S >f; postcat f
printf 'S\003a\tb' >f; postcat f
letter maildrop a b; postcat -q $ID
postcat -eq $ID
postcat -b q/maildrop/$ID
into maildrop hold; postcat -q $ID | head -1
into hold deferred; postcat -q $ID | head -1
