#!/bin/sh
# Takes what `warren verify` and `warren trace` read from this host and writes it as one tar.gz to standard output:
#
#     sh capture.sh > compute1.tar.gz
#
# Read-only. Each command has 20 seconds and 64 MB, all of them together 3 minutes and 512 MB. Takes no keys, tokens, passwords or
# logs: only the state of Open vSwitch, of network namespaces, of packet filters, and DHCP's table of MAC addresses.
# Needs root (or what ovs-vsctl, ip netns and iptables-save need); what is missing here is left out of the archive.
set -u
umask 077
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

if [ -t 1 ]; then
    echo "capture: the archive goes to standard output; write: sh capture.sh > $(uname -n).tar.gz" >&2
    exit 2
fi
if command -v timeout >/dev/null 2>&1; then bounded='timeout 20'; else bounded=''; fi
work=$(mktemp -d "${TMPDIR:-/tmp}/warren-capture.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM PIPE
host=${WARREN_HOST:-$(uname -n)}
case $host in */* | .* | '') host=host ;; esac
out=$work/$host
mkdir "$out" || exit 1
started=$(date +%s)
left=536870912

# path_of PROGRAM: where it is installed. A busybox that prefers its own programs has an ip without namespaces.
path_of() {
    IFS=:
    for folder in $PATH; do
        [ -x "$folder/$1" ] && printf '%s' "$folder/$1" && break
    done
    unset IFS
}
ip=$(path_of ip)
ip=${ip:-ip}

# take FILE COMMAND...: the command's output, if it has any, as FILE. What is cut off says so in capture_notes.
take() {
    file=$out/$1
    shift
    if [ $(($(date +%s) - started)) -gt 180 ]; then
        echo "not taken, the capture's 3 minutes are over: $*" >> "$out/capture_notes"
        return 0
    fi
    if [ "$left" -le 0 ]; then
        echo "not taken, the capture has its 512 MB: $*" >> "$out/capture_notes"
        return 0
    fi
    limit=$((left < 67108864 ? left : 67108864))
    {
        $bounded "$@" 2>/dev/null < /dev/null
        case $? in
            124 | 137 | 142 | 143) echo "cut off, not done within its time: $*" >> "$out/capture_notes" ;;
        esac
    } | head -c "$limit" > "$file"
    size=$(($(wc -c < "$file")))
    left=$((left - size))
    [ "$size" -lt "$limit" ] || echo "cut off, more than $((limit - 1)) bytes: $*" >> "$out/capture_notes"
    [ "$size" -gt 0 ] || rm -f "$file"
}
# take_keyless FILE COMMAND...: the same without the keys of tunnels with IPsec (options:psk), as ovs-vsctl writes them.
take_keyless() {
    take "$@"
    [ -f "$out/$1" ] || return 0
    text='"\([^"\\]*\\.\)*[^"\\]*"'
    sed -e "s/\\[\"psk\",$text\\]/[\"psk\",\"removed\"]/g" -e "s/psk=$text/psk=removed/g" \
        -e 's/psk=[^,}"]*/psk=removed/g' "$out/$1" > "$work/keyless" && mv "$work/keyless" "$out/$1" || rm -f "$out/$1"
}
# either FILE COMMAND... OR COMMAND...: the second command where the first gave nothing.
either() {
    name=$1
    shift
    first=
    while [ "$1" != OR ]; do
        first="$first $1"
        shift
    done
    shift
    # Word splitting is wanted: no word here has blanks.
    take "$name" $first
    [ -f "$out/$name" ] || take "$name" "$@"
}

echo "$host" > "$out/hostname"

take_keyless ovs-vsctl_show ovs-vsctl -t 10 show
take ovs-vsctl_list_bridge ovs-vsctl -t 10 --format=json \
    --columns=name,datapath_type,fail_mode,protocols list bridge
take ovs-vsctl_list_port ovs-vsctl -t 10 --format=json \
    --columns=name,tag,trunks,vlan_mode,other_config list port
take_keyless ovs-vsctl_list_interface ovs-vsctl -t 10 --format=json \
    --columns=name,type,ofport,mac_in_use,mtu,admin_state,link_state,options,external_ids,error list interface
take tnl_neigh ovs-appctl -T 10 tnl/neigh/show
for bridge in $($bounded ovs-vsctl -t 10 list-br 2>/dev/null); do
    case $bridge in */* | .*) continue ;; esac
    either "ofctl_show_$bridge" ovs-ofctl -t 10 show "$bridge" OR ovs-ofctl -t 10 -O OpenFlow13 show "$bridge"
    either "dump-flows_$bridge" ovs-ofctl -t 15 --no-names dump-flows "$bridge" OR \
        ovs-ofctl -t 15 -O OpenFlow13 dump-flows "$bridge"
    take "dump-groups_$bridge" ovs-ofctl -t 10 -O OpenFlow13 dump-groups "$bridge"
    take "fdb_$bridge" ovs-appctl -T 10 fdb/show "$bridge"
done

# namespace FILE-SUFFIX PREFIX...: links, addresses, routes, neighbours and packet filters of one namespace.
namespace() {
    of=$1
    shift
    either "ip_addr_$of" "$@" "$ip" -j -d address OR "$@" "$ip" -d address
    take "ip_netns_ids_$of" "$@" "$ip" -j netns list-id
    either "ip_route_$of" "$@" "$ip" -j route show table all OR "$@" "$ip" route show table all
    take "ip_route6_$of" "$@" "$ip" -6 -j route show table all
    either "ip_rule_$of" "$@" "$ip" -j rule OR "$@" "$ip" rule
    either "ip_rule6_$of" "$@" "$ip" -6 -j rule OR "$@" "$ip" -6 rule
    either "ip_neigh_$of" "$@" "$ip" -j neigh OR "$@" "$ip" neigh
    take "bridge_fdb_$of" "$@" bridge -j fdb
    take "iptables-save_$of" "$@" iptables-save
    take "ip6tables-save_$of" "$@" ip6tables-save
    # Without the module there is no set, and asking would load it.
    [ ! -d /sys/module/ip_set ] || take "ipset-save_$of" "$@" ipset save
    # shellcheck disable=SC2016 # the names of interfaces are those of the namespace
    take "sysctl_$of" "$@" sh -c 'cd /proc/sys && exec sysctl -e "$@" net/ipv4/conf/*/rp_filter net/ipv4/conf/*/arp_ignore \
        net/ipv4/conf/*/proxy_arp' \
        sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding \
        net.ipv4.conf.all.arp_announce net.ipv4.conf.all.promote_secondaries \
        net.ipv6.conf.all.accept_ra net.ipv6.conf.default.accept_ra net.ipv6.conf.default.autoconf \
        net.ipv6.conf.all.disable_ipv6 net.ipv6.conf.default.disable_ipv6 \
        net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables
}

take ip_netns "$ip" netns
namespace host env
for ns in $($bounded "$ip" netns 2>/dev/null | while read -r name rest; do echo "$name"; done); do
    case $ns in */* | .* | host) continue ;; esac
    namespace "$ns" "$ip" netns exec "$ns"
done

for state in "${WARREN_STATE_DIR:-/var/lib/warren}" /run/warren/state /var/lib/neutron; do
    for hosts in "$state"/dhcp/*/host; do
        [ -f "$hosts" ] || continue
        network=${hosts%/host}
        mkdir -p "$out/dnsmasq_${network##*/}"
        take "dnsmasq_${network##*/}/host" cat "$hosts"
    done
    [ -f "$state/state.json" ] && take warren_state.json cat "$state/state.json"
done

tar -C "$work" -czf - "$host"
