#!/usr/bin/env bash
# vm-test.sh [--kernel PACKAGE] [--suite SUITE] [FILE.test.js...]: boots a kernel of Debian's in an emulated machine and proves
# tsbuild there: pure cgroup v2, modules loaded when they are needed, nothing but what the distribution's kernel has. Without files:
# the checks of scripts/vm/checks.sh, or those whose names are given. With files (compiled tests, paths from the repository's root): these, by node:test.
# PACKAGE is such as linux-image-cloud-amd64 (the default), of this machine's Debian or, with --suite sid, of that one.
# The machine's root is a Debian of its own, made by mmdebstrap, with node in it; the repository is there read-only; it has no network card.
set -euo pipefail
cd "$(dirname "$0")/.."

KERNEL=linux-image-cloud-amd64
SUITE=
LIMIT_SECONDS=${TSBUILD_VM_SECONDS:-600}
CACHE=${TSBUILD_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tsbuild-vm}
PACKAGES=(busybox-static e2fsprogs mmdebstrap qemu-system-x86 squashfs-tools xz-utils)
# What is in the machine beside Debian's essentials.
INSIDE=(busybox-static iproute2 nftables passt procps uidmap util-linux attr libcap2-bin gcc libc6-dev libstdc++6 tar strace)
# What it takes to reach the root file system. All others are loaded by the kernel itself, on demand.
BOOT_MODULES='virtio_pci virtio_blk ext4 crc32c_generic squashfs overlay'

main() {
  while [ $# -gt 0 ]; do
    case $1 in
      --kernel) KERNEL=$2 ;;
      --suite) SUITE=$2 ;;
      *) break ;;
    esac
    shift 2
  done
  [ -f dist/cli.js ] || npm run --silent build
  install_packages
  make_root
  fetch_kernel
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  make_initramfs
  cp --sparse=always "$root" "$work/disk"
  printf '%s\n' "$@" >"$work/suites"
  make_share
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

# The kernel's files, unpacked beside this machine and never installed: $kernel/{vmlinuz,lib/modules}, by version in $version.
fetch_kernel() {
  local package part
  [ -z "$SUITE" ] || use_suite
  # The package without a version in its name only depends on the one that has one.
  package=$(depends "$KERNEL" | grep -E '^linux-image-[0-9]' | head -1)
  package=${package:-$KERNEL}
  kernel=$CACHE/$package
  if [ ! -e "$kernel/complete" ]; then
    rm -rf "$kernel"
    mkdir -p "$kernel"
    cd "$kernel"
    # Newer ones come in parts: the kernel, its modules.
    for part in "$package" $(depends "$package" | grep -E '^linux-(binary|modules)-'); do
      apt-get download -qq "$part" 2>&1 | { grep -v unsandboxed || true; } >&2
    done
    for part in ./*.deb; do dpkg -x "$part" .; done
    rm ./*.deb
    if [ ! -d lib/modules ]; then mkdir -p lib && mv usr/lib/modules lib/; fi
    find . -name 'vmlinuz*' -exec mv {} vmlinuz \;
    rm -rf boot usr lib/modules/*/kernel/{sound,drivers/{gpu,media,infiniband,iio,scsi,staging,usb,hwmon,net/{ethernet,wireless}}}
    find lib/modules -name '*.ko.xz' -exec xz -d {} +
    busybox depmod -b "$kernel" "$(ls lib/modules)"
    cd "$OLDPWD"
    touch "$kernel/complete"
  fi
  version=$(ls "$kernel/lib/modules")
}

depends() { apt-cache depends --no-recommends --no-suggests "$1" | sed -nE 's/^ *Depends: ([^<].*)/\1/p'; }

# apt's own settings for another suite of the place that this machine's packages come from.
use_suite() {
  local mirror apt=$CACHE/apt-$SUITE
  mirror=$(grep -hoE '^URIs: +[^ ]+' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -1 | awk '{print $2}')
  [ -n "$mirror" ] || mirror=$(grep -hoE '^deb +(\[[^]]*\] +)?[^ ]+' /etc/apt/sources.list | head -1 | awk '{print $NF}')
  mkdir -p "$apt"/{lists,archives}/partial
  echo "deb [trusted=yes] $mirror $SUITE main" >"$apt/sources.list"
  printf '%s "%s";\n' Dir::Etc::SourceList "$apt/sources.list" Dir::Etc::SourceParts /dev/null \
    Dir::State::Lists "$apt/lists" Dir::Cache "$apt" Acquire::Check-Valid-Until false >"$apt/apt.conf"
  export APT_CONFIG=$apt/apt.conf
  apt-get update -qq >&2
}

# A disk with a small Debian and this machine's node, made once: $CACHE/root-<what is in it>.
make_root() {
  local tree key
  key=$(printf '%s\n' "${INSIDE[@]}" "$(node --version)" | sha256sum | cut -c1-12)
  root=$CACHE/root-$key
  [ ! -e "$root" ] || return 0
  mkdir -p "$CACHE"
  tree=$(mktemp -d "$CACHE/tree-XXXXXX")
  echo 'Making the root file system of the machine' >&2
  (
    unset APT_CONFIG
    mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "${INSIDE[*]}")" "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$tree/root" \
      $(find /etc/apt -name '*.list' -o -name '*.sources' | sort | head -1)
  ) >&2
  cp "$(readlink -f "$(command -v node)")" "$tree/root/usr/local/bin/node"
  rm -rf "$tree"/root/var/{cache,lib}/apt/*
  truncate -s 6G "$root.new"
  mke2fs -q -t ext4 -E lazy_itable_init=1,lazy_journal_init=1 -d "$tree/root" "$root.new"
  rm -rf "$tree"
  mv "$root.new" "$root"
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

# A read-only disk: the repository as it is now, the kernel's modules, the list of suites. Cloud kernels have no 9p.
make_share() {
  mksquashfs "$PWD" "$kernel/lib/modules" "$work/suites" "$work/share" -noI -noD -noF -noX -no-xattrs -quiet -no-progress \
    -wildcards -e "${PWD##*/}/.git" "${PWD##*/}/.build-*" >&2
}

# Its console is our output; its last words are its exit code, since a machine has none.
run_machine() {
  local acceleration=tcg status=0
  echo "Booting Linux $version" >&2
  timeout --kill-after=5 "$LIMIT_SECONDS" qemu-system-x86_64 \
    -machine "pc,accel=$acceleration" -cpu max -smp 2 -m 3G -display none -nic none -no-reboot -monitor none -serial stdio \
    -kernel "$kernel/vmlinuz" -initrd "$work/initramfs.gz" \
    -append "console=ttyS0 quiet panic=-1 vm.repository=$PWD" \
    -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
    -drive "file=$work/share,format=raw,if=virtio,readonly=on" \
    </dev/null 2>"$work/qemu.log" | tr -d '\r' | tee "$work/console" || status=$?
  if ! grep -q '^vm-exit: [0-9]*$' "$work/console"; then
    cat "$work/qemu.log" >&2
    echo "The machine did not come to its end within $LIMIT_SECONDS s (qemu: $status)" >&2
    exit 1
  fi
  exit "$(sed -n 's/^vm-exit: //p' "$work/console" | tail -1)"
}

main "$@"
