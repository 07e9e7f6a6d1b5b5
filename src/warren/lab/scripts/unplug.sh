#!/bin/sh
# Undoes plug.sh; what is not there any more is no error. Argument: port id.
id=$(printf %.11s "$1")
ovs-vsctl --timeout=10 -- --if-exists del-port "qvo$id" -- --if-exists del-port "tap$id"
for link in "qvo$id" "tap$id" "qbr$id"; do
  [ ! -e "/sys/class/net/$link" ] || ip link delete "$link"
done
