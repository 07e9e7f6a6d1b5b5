# Holds the namespaces of a netns instance. Runs inside its network namespace, with mount and UTS namespaces of its own.
# Arguments: its name, its directory.
set -e
name=$1 directory=$2
hostname "$name"
mount --bind "$directory/etc/hosts" /etc/hosts
mount --bind "$directory/root" /root
# Where /etc/resolv.conf is a link into /run, the instance's own /run has it.
resolver=$(readlink -m /etc/resolv.conf)
case $resolver in
  /run/*) mkdir -p "$directory${resolver%/*}" && : >"$directory$resolver" ;;
  *) [ ! -e "$resolver" ] || mount --bind "$directory/etc/resolv.conf" "$resolver" ;;
esac
mount --bind "$directory/run" /run
# Quiet but for what it is asked to send: router solicitations would keep learned entries alive for ever.
sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip link set lo up
ip link set eth0 up
dropbear -F -E -s -r /run/hostkey -P /run/dropbear.pid </dev/null 3>&- &
echo ready >&3
exec 3>&-
exec sleep infinity
