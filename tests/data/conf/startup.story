# Values that every program reads when it starts
o 'biff = maybe' postmap -q a static:b
o 'syslog_name = ${' postmap -q a static:b
o 'myhostname=$x' postmap -q a static:b
o 'myhostname=$myhostname' postmap -q a static:b
o 'daemon_timeout = 5x' postmap -q a static:b
o 'daemon_timeout=x' postmap -q a static:b
o 'daemon_timeout=-1' postmap -q a static:b
o 'line_length_limit=foo' postmap -q a static:b
o 'line_length_limit=-4' postmap -q a static:b
o 'noequals' postmap -q a static:b
o '= x' postmap -q a static:b
o 'a b = c' postmap -q a static:b
o 'mydomain=' postmap -q a static:b
o 'myhostname=' postmap -q a static:b
o 'inet_protocols=foo' postmap -q a static:b
o 'compatibility_level=foo' postmap -q a static:b
o 'mynetworks_style=foo' postmap -q a static:b
o 'hash_queue_depth=x' postmap -q a static:b
o 'myorigin=/none' postmap -q a static:b
o 'fork_delay = 3d' postmap -q a static:b
o 'fork_delay=99999999w' postmap -q a static:b
o 'x=y' postmap -q a static:b
o 'mail_version=1' postmap -q a static:b
o 'mynetworks = ' postmap -q a static:b
o 'alias_database=foo' postmap -q a static:b
o 'import_environment=}' postmap -q a static:b
