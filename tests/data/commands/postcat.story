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
# Files that something has damaged.
printf 'S\001xM\000N\004a: bN\000L\003defX\000E\000' >f; for o in '' -b -o -bo -bh -eh -he -hd; do echo "== $o"; postcat $o f; echo; done
printf 'L\003smtS\001xM\000N\004a: bM\000N\000X\000X\000E\000' >f; for o in '' -b -o -h -e; do echo "== $o"; postcat $o f; done
printf 'C\0061 5   S\001xC\0061 5   M\000N\004a: bN\001xX\000E\000' >f; for o in '' -b -h -e; do echo "== $o"; postcat $o f; done
printf 'C\0069 13  S\001xM\000N\004a: bN\001xX\000R\001yE\000' >f; for o in '' -b -h -e -eh; do echo "== $o"; postcat $o f; done
for s in '0 0' '-1 5' '5' '5_ 7' ' 5 x' 'x' '' '5 -3'; do printf "C\\$(printf %03o ${#s})%sS\\001xM\\000X\\000E\\000" "$s" >f; echo "== $s"; postcat f; postcat -b f; done
printf 'S\001xM\000N\003a:bX\000E\000S\001zR\001yE\000' >f; postcat f; echo ==; postcat -r f; echo ==; postcat -rv f 2>/dev/null
printf 'S\001xp\01718             w\001xM\000N\001zX\000E\000' >f; postcat -v f 2>/dev/null; echo ==; postcat -rv f 2>/dev/null; echo ==; postcat -r f
printf 'S\001xA\007 a = b A\003=abA\004a bcA\002a=A\020create_time=x1y2T\0021xW\002 1M\000X\000E\000' >f; postcat f
printf 'S\004\377a\000bR\003\303\251!M\000N\004\377: bN\003a\000bX\000E\000' >f; postcat f; postcat -h f
printf 'S\001xp\0036 xM\000' >f; postcat f; printf 'S\001xp\000M\000N\001aX\000E\000' >f; postcat f; printf 'S\001xp\003-12M\000' >f; postcat f
printf 'S\377\377\377\377\017x' >f; postcat f; printf 'S\377\377\377\377\007x' >f; postcat f; printf 'S\377\377\377\377\377\001x' >f; postcat f
printf 'S\001xz\001zM\000N\003 a:N\001:N\005a b:cN\000X\000E\000' >f; postcat -h f; echo ==; postcat -b f
printf '' >f; postcat f; printf '\000\000' >f; postcat f; printf 'S' | postcat; printf 'S\001xM\000N\003abcX\000E\000' | postcat -s 2
printf 'S\001x' | postcat -s 9
