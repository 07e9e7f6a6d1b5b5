#!/bin/sh
# First process of a qemu instance.
/bin/busybox mkdir -p /sbin /usr/bin /usr/sbin
/bin/busybox --install -s
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=vt100
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
hostname "$(cat /etc/hostname)"
for module in /modules/*.ko; do insmod "$module" || echo "insmod $module failed"; done
ip link set lo up
ip link set eth0 up

# Commands of `warren lab exec` come by the second serial line: a number and base64 of a shell script, a line each. The
# answer is a line: the number, base64 of the output, the exit status.
(
  stty -F /dev/ttyS1 raw -echo
  exec 3</dev/ttyS1 4>/dev/ttyS1
  echo "warren guest listens" >/dev/console
  while read -r number command <&3; do
    echo "$command" | base64 -d >/tmp/command
    sh /tmp/command >/tmp/output 2>&1 </dev/null 3>&- 4>&-
    status=$?
    echo "$number $(base64 </tmp/output | tr -d '\n') $status" >&4
  done
) &

udhcpc -f -i eth0 -s /etc/udhcpc.script -O staticroutes -O mtu -T 1 -t 0 -x "hostname:$(hostname)" &
dropbear -R -E -s
while true; do setsid cttyhack sh; done
