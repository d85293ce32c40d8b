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
queue; letter deferred a; cp q/deferred/*/$ID q/incoming/$ID.x; touch q/incoming/12.34 q/incoming/'bad name' q/maildrop/ABC; postsuper -p 2>&1 | sort; ls q/incoming q/maildrop | wc -l
touch -d '8 days ago' q/incoming/* q/maildrop/*; chmod 600 q/incoming/*; postsuper -p; ls q/incoming q/maildrop | wc -l
postsuper -p defer
postsuper -s; postsuper -S; postsuper
