#!/bin/sh
# Makes the host's side of an instance's interface and puts it on br-int, as a hypervisor's VIF driver would.
# Arguments: plug (hybrid, ovs), port id, MAC address, MTU, instance, and the kind of its interface: `netns` (a veth whose
# other end is eth0 in the namespace named after the instance) or `tap` (a TAP device for QEMU).
set -e
plug=$1 port=$2 mac=$3 mtu=$4 instance=$5 kind=$6
id=$(printf %.11s "$port")
tap=tap$id

if [ "$kind" = netns ]; then
  ip link add "$tap" mtu "$mtu" type veth peer name eth0 address "$mac" mtu "$mtu" netns "$instance"
else
  ip tuntap add dev "$tap" mode tap
  ip link set "$tap" mtu "$mtu"
fi

if [ "$plug" = hybrid ]; then
  ip link add "qbr$id" mtu "$mtu" type bridge forward_delay 0 stp_state 0 mcast_snooping 0
  ip link add "qvo$id" mtu "$mtu" type veth peer name "qvb$id" mtu "$mtu"
  ip link set "qvb$id" master "qbr$id" promisc on up
  ip link set "$tap" master "qbr$id"
  ip link set "qbr$id" up
  ip link set "qvo$id" promisc on up
  on_switch=qvo$id
else
  on_switch=$tap
fi
ip link set "$tap" up

ovs-vsctl --timeout=10 -- --may-exist add-port br-int "$on_switch" -- set Interface "$on_switch" \
  external_ids:iface-id="$port" external_ids:attached-mac="\"$mac\"" external_ids:iface-status=active \
  external_ids:vm-uuid="$instance"
