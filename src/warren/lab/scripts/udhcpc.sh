#!/bin/sh
# What busybox's DHCP client runs at each event: sets the interface as the lease says and writes the lease down.
# Variables: busybox networking/udhcp/README.udhcpc.
case "$1" in
  deconfig)
    busybox ip addr flush dev "$interface"
    busybox ip link set "$interface" up
    ;;
  bound | renew)
    busybox ip addr replace "$ip/$mask" dev "$interface"
    [ -z "$mtu" ] || busybox ip link set "$interface" mtu "$mtu"
    # Classless routes (RFC 3442) replace the router option where they are given.
    if [ -n "$staticroutes" ]; then
      set -- $staticroutes
      while [ $# -ge 2 ]; do
        case "$2" in
          0.0.0.0) busybox ip route replace "$1" dev "$interface" ;;
          *) busybox ip route replace "$1" via "$2" dev "$interface" ;;
        esac
        shift 2
      done
    else
      for gateway in $router; do
        busybox ip route replace default via "$gateway" dev "$interface"
      done
    fi
    : >/etc/resolv.conf
    [ -z "$domain" ] || echo "search $domain" >>/etc/resolv.conf
    for address in $dns; do
      echo "nameserver $address" >>/etc/resolv.conf
    done
    {
      echo "address=$ip"
      echo "prefix=$mask"
      echo "server=$serverid"
      echo "gateway=$router"
      echo "dns=$dns"
      echo "mtu=$mtu"
      echo "lease_s=$lease"
    } >/run/lease.partial
    busybox mv /run/lease.partial /run/lease
    ;;
esac
