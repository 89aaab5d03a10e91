#!/bin/busybox sh
# The first process of the machine of scripts/vm-test.sh: mounts its root file system and goes there.
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /dev /new
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for setting in $(cat /proc/cmdline); do
  case $setting in vm.*) eval "${setting#vm.}" ;; esac
done
while read -r module; do insmod "/modules/${module##*/}" || echo "No module $module"; done </modules/order

mount -t ext4 /dev/vda /new || poweroff -f
mount --move /dev /new/dev
mkdir -p /new/dev/pts /new/dev/shm
ln -s /proc/self/fd /new/dev/fd
for i in in:0 out:1 err:2; do ln -s "/proc/self/fd/${i#*:}" "/new/dev/std${i%:*}"; done
mount -t devpts -o mode=0620,ptmxmode=0666,gid=5 devpts /new/dev/pts
mount -t tmpfs -o mode=1777 shm /new/dev/shm
mount -t proc proc /new/proc
mount -t sysfs sys /new/sys
mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
mount -t tmpfs -o mode=755 run /new/run
mount -t squashfs -o ro /new/dev/vdb /new/mnt || poweroff -f
mkdir -p "/new$repository" /new/lib/modules
mount --bind "/new/mnt/${repository##*/}" "/new$repository"
ln -sf /bin/busybox /new/sbin/modprobe
mount --bind /new/mnt/modules /new/lib/modules
umount /proc
exec switch_root /new /bin/bash "$repository/scripts/vm/main.sh" "$repository"
