# main.sh WEIR: a client, a director and a real server in namespaces; SCTP by NAT and direct routing, and TCP through
# every kind of tunnel to the kernel's own end of it, in every mode. One line for each transfer: "ok" or "FAILED".
set -u
weir=$1
talk=/job/guest/talk.py
failed=0

say() { echo "$*"; }
fail() { say "FAILED $*"; failed=1; }

for module in sctp ipip sit ip_gre ip6_tunnel ip6_gre fou fou6 veth; do
    modprobe "$module" || fail "the kernel has no module $module"
done

# Only what a program at XDP can finish: it cannot see that a checksum was left to a network card.
offload() { # client's and real server's ends: on or off
    ip netns exec client ethtool -K c0 tx "$1" >/dev/null
    ip netns exec real ethtool -K r0 tx "$1" >/dev/null
}

for name in client director real; do
    ip netns add "$name"
    ip netns exec "$name" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
        net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
    ip -n "$name" link set lo up
done
ip link add c0 netns client type veth peer name clients netns director
ip link add r0 netns real type veth peer name servers netns director
address() { # namespace interface IPv4 IPv6
    ip -n "$1" addr add "$3" dev "$2"
    ip -n "$1" addr add "$4" dev "$2" nodad
    ip -n "$1" link set "$2" up
}
address client c0 192.0.2.2/24 2001:db8:1::2/64
address director clients 192.0.2.1/24 2001:db8:1::1/64
address director servers 10.0.0.1/24 2001:db8:2::1/64
address real r0 10.0.0.11/24 2001:db8:2::11/64
ip -n client route add 192.0.2.10 via 192.0.2.1
ip -n client -6 route add 2001:db8:1::10 via 2001:db8:1::1
ip -n real route add default via 10.0.0.1
ip -n real -6 route add default via 2001:db8:2::1
ip netns exec director sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip netns exec real sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
virtual() { # add or del: the virtual addresses on the real server
    ip -n real addr "$1" 192.0.2.10/32 dev lo
    ip -n real addr "$1" 2001:db8:1::10/128 dev lo
}
virtual add

TCP=6 SCTP=132
for line in "$TCP 80" "$SCTP 7000" "$SCTP 7100"; do
    log=/run/echo-${line#* }
    ip netns exec real python3 $talk echo $line >"$log" &
    for _ in $(seq 300); do
        grep -q listening "$log" && break
        sleep 0.1
    done
    grep -q listening "$log" || fail "no server for $line"
done

mkdir -p /run/bpffs
mount -t bpf bpffs /run/bpffs
ipvsadm() { WEIR_SOCKET=/run/weir.sock $weir ipvsadm "$@" || fail "ipvsadm $*"; }
transfer() { # what protocol host port
    if said=$(ip netns exec client python3 $talk ask "$2" "$3" "$4" 300000 2>&1); then
        say "ok $mode: $1"
    else
        fail "$mode: $1: $said"
    fi
}

sctp() { # VIP RIP, as ipvsadm has them, and the VIP bare
    virtual del
    ipvsadm -A --sctp-service "$1:7000" -s rr
    ipvsadm -a --sctp-service "$1:7000" -r "$2:7000" -m
    transfer "SCTP by NAT to $3" $SCTP "$3" 7000
    ipvsadm -C
    ipvsadm -A --sctp-service "$1:7001" -s rr
    ipvsadm -a --sctp-service "$1:7001" -r "$2:7100" -m
    transfer "SCTP by NAT to $3, to another port" $SCTP "$3" 7001
    ipvsadm -C
    virtual add
    ipvsadm -A --sctp-service "$1:7100" -s rr
    ipvsadm -a --sctp-service "$1:7100" -r "$2:7100" -g
    transfer "SCTP by direct routing to $3" $SCTP "$3" 7100
    ipvsadm -C
}

tunnel() { # VIP, RIP, how the director wraps; then how the kernel's end is made
    local vip=$1 rip=$2 how=$3
    shift 3
    if ! ip -n real link add name end type "$@"; then
        fail "no device for $*"
        return
    fi
    ip -n real link set end up
    ip netns exec real sysctl -qw net.ipv4.conf.end.rp_filter=0
    ipvsadm -A -t "$vip:80" -s rr
    ipvsadm -a -t "$vip:80" -r "$rip:80" $how
    local host=${vip#[}
    transfer "$vip in $rip, $how" $TCP "${host%]}" 80
    ipvsadm -C
    ip -n real link del end
}

V4=192.0.2.10 V6='[2001:db8:1::10]' R4=10.0.0.11 R6='[2001:db8:2::11]'
four="local 10.0.0.11" six="local 2001:db8:2::11"
tunnels() {
    tunnel $V4 $R4 -i ipip $four
    tunnel $V6 $R4 -i sit $four
    tunnel $V4 $R6 -i ip6tnl mode any $six
    tunnel $V6 $R6 -i ip6tnl mode any $six
    tunnel $V4 $R4 "-i --tun-type gre --tun-nocsum" gre $four
    tunnel $V4 $R4 "-i --tun-type gre --tun-csum" gre $four icsum
    tunnel $V6 $R4 "-i --tun-type gre --tun-csum" gre $four icsum
    tunnel $V4 $R6 "-i --tun-type gre --tun-nocsum" ip6gre $six
    tunnel $V6 $R6 "-i --tun-type gre --tun-csum" ip6gre $six icsum
    ip -n real fou add port 6080 gue
    ip -n real -6 fou add port 6080 gue
    for sum in --tun-nocsum --tun-csum --tun-remcsum; do
        gue="-i --tun-type gue --tun-port 6080 $sum"
        tunnel $V4 $R4 "$gue" ipip $four
        tunnel $V6 $R4 "$gue" sit $four
        tunnel $V6 $R6 "$gue" ip6tnl mode any $six
    done
    ip -n real fou del port 6080
    ip -n real -6 fou del port 6080
}

for mode in tc xdp; do
    if [ $mode = xdp ]; then offload off; else offload on; fi
    ip netns exec director $weir run --mode $mode --interface clients --interface servers \
        --socket /run/weir.sock --bpffs /run/bpffs/weir --state /run/state >/run/log 2>&1 &
    daemon=$!
    until grep -q ready /run/log; do
        kill -0 $daemon 2>/dev/null || { cat /run/log; fail "$mode: no director"; exit 1; }
        sleep 0.2
    done
    sctp $V4 $R4 192.0.2.10
    sctp "$V6" "$R6" 2001:db8:1::10
    tunnels
    kill $daemon
    wait $daemon
    ip netns exec director $weir detach --bpffs /run/bpffs/weir >/dev/null
done
kill $(jobs -p) 2>/dev/null
exit $failed
