#!/usr/bin/env bash
# debian-rootfs.sh FILE|-: a minimal Debian bookworm root file system as a tar, made with mmdebstrap from the apt sources of
# this machine. The sources go into it, too, so that apt in a RUN asks the same mirrors.
set -euo pipefail
[ $# -eq 1 ] || { sed -n 2,3p "$0" >&2; exit 2; }

main() {
  command -v mmdebstrap >/dev/null || install_mmdebstrap
  sources=$(mktemp -d)
  trap 'rm -rf "$sources"' EXIT
  collect_sources
  mmdebstrap --quiet --variant=minbase --mode=root \
    --customize-hook='rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*' \
    --customize-hook="cp $sources/* \"\$1\"/etc/apt/sources.list.d/" \
    --customize-hook="! [ -d /etc/apt/apt.conf.d ] || grep -lsi 'proxy\|Verify' /etc/apt/apt.conf.d/* | xargs -r cp -t \"\$1\"/etc/apt/apt.conf.d/" \
    bookworm - "$sources"/* >"$tar"
}

# Only what names bookworm: other sources of the machine have no part in a base image.
collect_sources() {
  local file
  for file in /etc/apt/sources.list.d/*.sources; do
    if [ -f "$file" ] && grep -q '^Suites:.*bookworm' "$file"; then cp "$file" "$sources/"; fi
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    if [ -f "$file" ] && grep -qE "$MAIN" "$file"; then grep -E "$MAIN" "$file" >"$sources/$(basename "$file")"; fi
  done
  [ -n "$(ls -A "$sources")" ] || { echo 'No bookworm in the apt sources of this machine' >&2; exit 1; }
}

install_mmdebstrap() {
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >&2
}

MAIN='^deb .* bookworm(-[a-z]+)? .*main'
tar=$1
[ "$tar" != - ] || tar=/dev/stdout
main
