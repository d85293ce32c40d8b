complete -c sendmail -s f -d 'the envelope sender' -r
complete -c sendmail -s r -d 'the same as -f' -r
complete -c sendmail -s F -d 'the sender\'s full name' -r
complete -c sendmail -s b -d 'm: deliver (default), p: list the queue, i: rebuild aliases, s: SMTP on standard input, v: deliver nothing and report by mail what would be done, d: start the mail system' -r
complete -c sendmail -s q -d 'flush the queue; with Iid one message, with Rsite the mail for a site' -r
complete -c sendmail -s o -d 'i: as -i, A: the aliases file for -bi, others: without effect' -r
complete -c sendmail -s C -d 'the main.cf, or its directory' -r
complete -c sendmail -s N -d 'never, or success, failure, delay' -r
complete -c sendmail -s R -d 'what a bounce returns: full or hdrs' -r
complete -c sendmail -s V -d 'the envelope id' -r
complete -c sendmail -s X -d 'V, or V and two delimiters: each recipient gets an envelope sender of its own' -r
complete -c sendmail -s B -d '7BIT or 8BITMIME' -r
complete -c sendmail -s A -d 'accepted for Sendmail\'s sake, without effect' -r
complete -c sendmail -s L -d 'accepted for Sendmail\'s sake, without effect' -r
complete -c sendmail -s O -d 'accepted for Sendmail\'s sake, without effect' -r
complete -c sendmail -s e -d 'accepted for Sendmail\'s sake, without effect' -r
complete -c sendmail -s h -d 'accepted for Sendmail\'s sake, without effect' -r
complete -c sendmail -s p -d 'accepted for Sendmail\'s sake, without effect' -r
complete -c sendmail -s t -d 'take the recipients from the message\'s headers too'
complete -c sendmail -s i -d 'a line with a single dot does not end the message'
complete -c sendmail -s G -d 'a gateway submits: headers are not completed'
complete -c sendmail -s I -d 'rebuild the aliases'
complete -c sendmail -s v -d 'report delivery by mail; more of them: be verbose'
complete -c sendmail -s U -d 'accepted for Sendmail\'s sake, without effect'
complete -c sendmail -s c -d 'accepted for Sendmail\'s sake, without effect'
complete -c sendmail -s m -d 'accepted for Sendmail\'s sake, without effect'
complete -c sendmail -s x -d 'accepted for Sendmail\'s sake, without effect'
