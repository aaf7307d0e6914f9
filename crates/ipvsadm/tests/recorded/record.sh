# Runs in a guest with IPVS and ipvsadm 1.31: prints every table anew, see README.md.
dmesg -n 1
cat >/etc/hosts <<'HOSTS'
127.0.0.1 localhost
::1 localhost6
192.0.2.10 web.example web
198.51.100.7 a-real-server-with-a-very-long-name.example.net
198.51.100.8 a-name-that-is-longer-than-the-fifty-nine-bytes-that-ipvsadm-has.example.net
2001:db8::81 a-name-that-is-longer-than-the-fifty-nine-bytes-that-ipvsadm-has6.example.net
192.0.2.33 exactly-twenty-one.ab
2001:db8::80 six.example
HOSTS
cat >/etc/services <<'SERVICES'
ssh 22/tcp
domain 53/tcp
domain 53/udp
http 80/tcp
https 443/tcp
https 443/udp
ntp 123/udp
diameter 3868/sctp
SERVICES
ip link set lo up
for mtu in 1500 9000 1400; do ip link add d$mtu mtu $mtu type dummy; done
ip link set d1500 up
ip link set d9000 up
modprobe -a ip_vs ip_vs_ftp
for table in random1 random2 options addresses values restore legality proc scripts daemons; do
  echo "==> $table.txt"
  python3 record.py "$table.txt"
done
echo "==> traffic.txt"
python3 traffic.py
