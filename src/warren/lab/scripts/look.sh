#!/bin/sh
# Writes what this host's switch and namespaces look like into a folder, a file for each command, named after it.
# Read-only. Runs inside a host of the lab.
set -u
out=$1
mkdir -p "$out"

take() {
  file=$out/$1
  shift
  "$@" >"$file" 2>&1 </dev/null
}

# Counters of flows come from the datapath when the revalidators have been round.
ovs-appctl -T 2 revalidator/wait >/dev/null 2>&1

hostname >"$out/hostname"
take ovs-vsctl_show ovs-vsctl show &
take ovs-vsctl_list_bridge ovs-vsctl --format=json --columns=name,datapath_type,fail_mode,protocols list bridge &
take ovs-vsctl_list_port ovs-vsctl --format=json --columns=name,tag,trunks,vlan_mode,other_config list port &
take ovs-vsctl_list_interface ovs-vsctl --format=json \
  --columns=name,type,ofport,mac_in_use,mtu,admin_state,link_state,options,external_ids,error list interface &
for bridge in $(ovs-vsctl list-br); do
  take "dump-flows_$bridge" ovs-ofctl dump-flows "$bridge" &
  take "ofctl_show_$bridge" ovs-ofctl show "$bridge" &
done
take dump-ports_br-tun ovs-ofctl dump-ports br-tun &
take ip_netns ip netns &
take ip_addr_host ip address &
take ip_route_host ip route &
take route_-n_host route -n &
take brctl_show brctl show &
take iptables-save_host iptables-save -c &
for namespace in $(ip netns | cut -d' ' -f1); do
  inside="ip netns exec $namespace"
  take "ip_addr_$namespace" $inside ip address &
  take "ip_route_$namespace" $inside ip route &
  take "route_-n_$namespace" $inside route -n &
  take "ifconfig_$namespace" $inside ifconfig &
  take "iptables-save_$namespace" $inside iptables-save -c &
  take "pids_$namespace" sh -c 'for pid in $(ip netns pids "$1"); do echo "$pid $(tr "\0" " " <"/proc/$pid/cmdline")"; done' sh "$namespace" &
done
wait
