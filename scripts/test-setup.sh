#!/usr/bin/env bash
# Installs the Debian programs that tests use as judges, as far as they are missing. Without root: says what is missing.
set -euo pipefail

# By name, since recommended packages stay out: a cross compiler brings no headers, and a minimal Debian has no xz and no openssl.
packages=(attr busybox-static bzip2 crun db-util docker-registry gcc gcc-aarch64-linux-gnu git
  golang-github-opencontainers-image-spec-dev iproute2 jq libc6-dev libc6-dev-arm64-cross libcap2-bin mmdebstrap nftables
  openssh-client openssh-server openssl passt podman procps python3 python3-jsonschema python3-pip qemu-system-x86
  qemu-user-static rpm runc skopeo slirp4netns sqlite3 squashfs-tools strace time uidmap umoci xz-utils zstd)
# For state directories on FUSE, and for clocks that are wrong.
packages+=(faketime fuse2fs)
# Another Docker does as well, and does not go with Debian's.
command -v dockerd >/dev/null || packages+=(docker.io)
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" = 'ii ' ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "Some tests need these Debian packages: ${missing[*]}" >&2
  exit 0
fi
echo "Installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2
# No service may start: tests start their own registry.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
