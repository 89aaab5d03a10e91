#!/usr/bin/env bash
# vm-test.sh [--kernel PACKAGE] [FILE.test.js...]: boots a kernel of Debian's in an emulated machine and proves tsbuild there:
# pure cgroup v2, modules loaded when they are needed, nothing but what the distribution's kernel has. Without files: the checks of
# scripts/vm/checks.sh. With files (compiled tests, paths from the repository's root): these, by node:test.
# The machine's root is this one's, read-only, below an overlay on an empty disk; it has no network card.
set -euo pipefail
cd "$(dirname "$0")/.."

KERNEL=linux-image-amd64
LIMIT_SECONDS=${TSBUILD_VM_SECONDS:-600}
CACHE=${TSBUILD_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tsbuild-vm}
PACKAGES=(busybox-static e2fsprogs iproute2 nftables qemu-system-x86)
# What it takes to reach the root file system. All others are loaded by the kernel itself, on demand.
BOOT_MODULES='virtio_pci virtio_blk 9pnet_virtio 9p ext4 crc32c_generic overlay'

main() {
  if [ "${1:-}" = --kernel ]; then
    KERNEL=$2
    shift 2
  fi
  [ -f dist/cli.js ] || npm run --silent build
  install_packages
  fetch_kernel
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  make_initramfs
  make_disk
  # Others may build meanwhile: the machine sees one dist.
  mkdir "$work/package"
  cp -r package.json bin dist "$work/package/"
  printf '%s\n' "$@" >"$work/suites"
  run_machine
}

install_packages() {
  local missing=() package
  for package in "${PACKAGES[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" = 'ii ' ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "Installing ${missing[*]}" >&2
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# The kernel's files, unpacked beside this machine and never installed: $kernel/{boot,lib/modules}, by version in $version.
fetch_kernel() {
  local package
  # The package without a version in its name only depends on the one that has the kernel.
  package=$(apt-cache depends --no-recommends --no-suggests "$KERNEL" | sed -nE 's/^ *Depends: (linux-image-[0-9].*)/\1/p' | head -1)
  package=${package:-$KERNEL}
  kernel=$CACHE/$package
  if [ ! -e "$kernel/complete" ]; then
    rm -rf "$kernel"
    mkdir -p "$kernel"
    (cd "$kernel" && apt-get download -qq "$package" 2>&1 | { grep -v unsandboxed || true; } && dpkg -x ./*.deb . && rm ./*.deb) >&2
    if [ ! -d "$kernel/lib/modules" ]; then mv "$kernel/usr/lib" "$kernel/lib"; fi
    rm -rf "$kernel"/usr "$kernel"/lib/modules/*/kernel/{sound,drivers/{gpu,media,infiniband,iio,scsi,staging,usb,hwmon,net/{ethernet,wireless}}}
    busybox depmod -b "$kernel" "$(ls "$kernel/lib/modules")"
    touch "$kernel/complete"
  fi
  version=$(ls "$kernel/lib/modules")
}

make_initramfs() {
  local tree=$work/initramfs module
  mkdir -p "$tree/bin" "$tree/modules"
  cp "$(command -v busybox)" "$tree/bin/busybox"
  cp scripts/vm/init.sh "$tree/init"
  chmod +x "$tree/init"
  for module in $BOOT_MODULES; do with_dependencies "$module"; done | awk '!seen[$0]++' >"$tree/modules/order"
  while read -r module; do cp "$kernel/lib/modules/$version/$module" "$tree/modules/"; done <"$tree/modules/order"
  (cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initramfs.gz"
}

# Paths of a module's file and of those that it needs, these first. Nothing for what is built into the kernel.
with_dependencies() {
  sed -nE "s#^([^:]*/$1\.ko[^:]*):(.*)#\2 \1#p" "$kernel/lib/modules/$version/modules.dep" | awk '{ for (i = NF - 1; i > 0; i--) print $i; print $NF }'
}

make_disk() {
  truncate -s 6G "$work/disk"
  mke2fs -q -t ext4 -E lazy_itable_init=1,lazy_journal_init=1 "$work/disk"
}

# Its console is our output; its last words are its exit code, since a machine has none.
run_machine() {
  local acceleration=tcg status=0
  echo "Booting Linux $version" >&2
  timeout --kill-after=5 "$LIMIT_SECONDS" qemu-system-x86_64 \
    -machine "pc,accel=$acceleration" -cpu max -smp 2 -m 3G -display none -nic none -no-reboot -monitor none -serial stdio \
    -kernel "$kernel/boot/vmlinuz-$version" -initrd "$work/initramfs.gz" \
    -append "console=ttyS0 quiet panic=-1 vm.work=$work vm.kernel=$kernel vm.repository=$PWD vm.node=$(command -v node)" \
    -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
    -virtfs "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap" \
    </dev/null 2>"$work/qemu.log" | tr -d '\r' | tee "$work/console" || status=$?
  if ! grep -q '^vm-exit: [0-9]*$' "$work/console"; then
    cat "$work/qemu.log" >&2
    echo "The machine did not come to its end within $LIMIT_SECONDS s (qemu: $status)" >&2
    exit 1
  fi
  exit "$(sed -n 's/^vm-exit: //p' "$work/console" | tail -1)"
}

main "$@"
