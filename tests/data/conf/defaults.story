# All parameters with their defaults, and those that the services of a Debian master.cf bring
o '' cp debian.master.cf c/master.cf
postconf -d | grep -v -e ^myhostname -e ^mynetworks -e ^process_id -e ^mydomain
postconf -df | grep -v -e ^myhostname -e ^mynetworks -e ^process_id -e ^mydomain
postconf -C service
postconf -M
postconf -Mf
postconf -F
postconf -P
postconf -Px
