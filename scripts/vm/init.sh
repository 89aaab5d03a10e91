#!/bin/busybox sh
# The first process of the machine of scripts/vm-test.sh: makes its root file system and goes there.
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /dev /host /disk /new
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for setting in $(cat /proc/cmdline); do
  case $setting in vm.*) eval "${setting#vm.}" ;; esac
done
while read -r module; do insmod "/modules/${module##*/}" || echo "No module $module"; done </modules/order

mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /host || poweroff -f
mount -t ext4 /dev/vda /disk || poweroff -f
mkdir -p /disk/upper /disk/work /disk/tmp
chmod 1777 /disk/tmp
mount -t overlay -o lowerdir=/host,upperdir=/disk/upper,workdir=/disk/work overlay /new || poweroff -f
mount --move /dev /new/dev
mkdir -p /new/dev/pts /new/dev/shm
ln -s /proc/self/fd /new/dev/fd
for i in in:0 out:1 err:2; do ln -s "/proc/self/fd/${i#*:}" "/new/dev/std${i%:*}"; done
mount -t devpts devpts /new/dev/pts
mount -t tmpfs -o mode=1777 shm /new/dev/shm
mount -t proc proc /new/proc
mount -t sysfs sys /new/sys
mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
mount -t tmpfs -o mode=755 run /new/run
# State directories lie on the disk itself: an overlay cannot be the upper directory of another.
mount --bind /disk/tmp /new/tmp
mkdir -p /new/lib/modules /new/mnt/package
mount --bind "/host$work/package" /new/mnt/package
cp "/host$work/suites" /new/run/suites
mount --bind "/host$kernel/lib/modules" /new/lib/modules
ln -sf /bin/busybox /new/sbin/modprobe
umount /proc
exec switch_root /new /bin/bash "$repository/scripts/vm/main.sh" "$repository" "$node"
