# postqueue and postsuper on a queue that nothing runs.
queue; postqueue -p
letter maildrop a b; postqueue -p
postqueue -j
mailq
postsuper -r ALL
postsuper -h ALL
postsuper -d ALL
postqueue -p
queue; letter deferred a; postsuper -h $ID; mailq; postsuper -h $ID; postsuper -H $ID; mailq; postsuper -H $ID
queue; letter deferred a; postsuper -e $ID; stat -c %a q/deferred/*/$ID; mailq; postqueue -j; postsuper -e ALL; postsuper -h $ID; mailq; postsuper -f $ID; mailq
queue; letter deferred a; postsuper -h ALL; postsuper -f ALL; mailq
queue; letter active a; mailq; postsuper -r $ID; mailq
queue; letter deferred a; postsuper -d $ID hold; postsuper -d $ID deferred; mailq
queue; letter hold a; printf "$ID\nABC/DEF\n\nXYZ\n" | postsuper -d -
postsuper -d ALL -h ALL -H ALL -r ALL -e ALL
postsuper -d - -h - </dev/null
postsuper -d A/B
postsuper -h ''
postsuper -d ABC
postsuper -f ABC
queue; letter deferred a; mkdir -p q/defer/${ID:0:1}; echo x >q/defer/${ID:0:1}/$ID; chown -R $OWNER q/defer; cp -p q/deferred/*/$ID t; mv t q/deferred/${ID:0:1}/$ID; postsuper -s; for f in q/deferred/*/*; do n=${f##*/}; [ $((16#${n:5})) = $(stat -c %i $f) ] && [ -f q/defer/${n:0:1}/$n ] && echo renamed with its log; done
queue; letter deferred a; mv q/deferred/*/$ID q/deferred/; postsuper -s; ls q/deferred/${ID:0:1}/$ID | wc -l
queue; letter deferred a; cp q/deferred/*/$ID q/incoming/$ID.x; touch q/incoming/0.34 q/incoming/'bad name' q/maildrop/ABC; postsuper -p 2>&1 | sort; ls q/incoming q/maildrop | wc -l
touch -d '8 days ago' q/incoming/* q/maildrop/*; chmod 600 q/incoming/*; postsuper -p; ls q/incoming q/maildrop | wc -l
postsuper -p defer
postsuper -s; postsuper -S; postsuper
# What is said of recipients comes first, and of the others that there is nothing to say.
queue; F='T\0201000000000 92138S\001sR\001aR\001bR\001cM\000N\002hiX\000E\000'; for l in 'recipient=b\nreason=why b\n\n' 'recipient=c\nreason=why\n\nrecipient=a\nreason=why\n\n' 'recipient=c\nreason=why\n\nrecipient=x\nreason=y\n\nrecipient=c\nreason=z\n\n' '' 'recipient=a\n\n' '<a@b>: old style\n\n<c>: more\nrecipient=c\nstatus=4.1.1\naction=delayed\noffset=5\n\n' 'recipient="q r"@b\nreason=x\n\n'; do echo "== $l"; queued "$F" "$l"; done
# Messages that something has damaged are listed as far as they can be read.
for f in 'S\001sR\001aR\003b cM\000N\002hiX\000E\000' 'S\001sR\001aD\001bA\003x=yM\000N\002hiX\000R\001cE\000R\001d' 'C\00210S\001sR\001aM\000N\006helloxX\000R\001cE\000' 'C\001xS\001sR\001aM\000N\006helloxX\000R\001cE\000' 'S\000R\000R\003b\0cR\002\303\251M\000X\000E\000' 'S\001sR\001aM\000N\777' 'S\001sp\00215R\001aR\001bM\000X\000R\001cE\000' 'T\001xS\001sR\001aM\000X\000E\000' ''; do echo "== $f"; queued "$f"; done
