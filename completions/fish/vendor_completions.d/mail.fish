complete -c mail -s A -l attach -d 'attach FILE' -r
complete -c mail -s a -l append -d 'add the header line, or attach the file of that name' -r
complete -c mail -l attach-fd -d 'attach what the descriptor holds' -r
complete -c mail -s b -l bcc -d 'blind copies to LIST' -r
complete -c mail -s c -l cc -d 'copies to LIST' -r
complete -c mail -l content-filename -d 'file name of the next attachment' -r
complete -c mail -l content-name -d 'name of the next attachment' -r
complete -c mail -l content-type -d 'content type of what follows' -r
complete -c mail -s E -l exec -d 'run COMMAND first; before another option: send no empty letter' -r
complete -c mail -l encoding -d 'transfer encoding of what follows' -r
complete -c mail -s f -l file -d 'read FILE, or mbox' -r
complete -c mail -s r -l return-address -d 'sender of the letter for bounces' -r
complete -c mail -s s -l subject -d 'send a letter with this subject' -r
complete -c mail -s u -l user -d 'read USER\'s mailbox' -r
complete -c mail -s S -l set-variable -d 'set a variable' -r
complete -c mail -l search -d 'list the messages that hold TEXT, or a message list, and exit' -r
complete -c mail -l alternative -d 'make the parts alternatives of each other'
complete -c mail -l count -d 'print the number of messages and exit'
complete -c mail -s e -l exist -d 'exit with 0 if there is mail'
complete -c mail -s F -l byname -d 'keep a copy in a file named after the recipient'
complete -c mail -s H -l headers -d 'print the summary and exit'
complete -c mail -s i -l ignore -d 'ignore interrupts'
complete -c mail -l json -d 'with -H: one JSON object a line'
complete -c mail -s M -l mime -d 'always write MIME headers'
complete -c mail -s N -l nosum -d 'no summary at the start'
complete -c mail -s n -l norc -d 'do not read the system\'s start-up file'
complete -c mail -s p -l print -d 'print all messages and exit'
complete -c mail -s q -l quit -d 'interrupts end the program'
complete -c mail -l skip-empty-attachments -d 'leave out attachments without content'
complete -c mail -s t -l to -d 'take the recipients from the letter\'s header'
complete -c mail -s R -l read-only -d 'do not change the mailbox'
complete -c mail -s ~ -l enable-tilde -d 'tilde escapes in text that is not typed'
complete -c mail -s I -l interactive -d 'as at a terminal: prompts and escapes'
complete -c mail -s v -l verbose -d 'tell what happens to the letter'
complete -c mail -s ? -l help -d 'show this help'
complete -c mail -l usage -d 'show the options in short'
complete -c mail -s V -l version -d 'show the version'
