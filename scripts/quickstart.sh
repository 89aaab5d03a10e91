#!/usr/bin/env bash
# From a fresh clone to a running image: builds tsbuild, gets a Debian base image, builds examples/hello and runs it.
# Repeatable; takes flags for tsbuild's state directory: quickstart.sh [--root DIR].
set -euo pipefail
cd "$(dirname "$0")/.."

BASE=debian:bookworm
STARTED=$(date +%s)
tsbuild=(bin/tsbuild)
if [ "${1:-}" = --root ]; then export TSBUILD_ROOT=$2; fi

main() {
  say 'Installing and building tsbuild'
  [ -d node_modules ] || npm ci
  [ -f dist/cli.js ] || npm run --silent build

  if "${tsbuild[@]}" inspect "$BASE" >/dev/null 2>&1; then
    say "Base image $BASE is in the store"
  else
    base_image
  fi

  say 'Building examples/hello as app:1'
  local began digest
  began=$(date +%s%N)
  digest=$("${tsbuild[@]}" build -t app:1 examples/hello)
  say "Built $digest in $((($(date +%s%N) - began) / 1000000)) ms"

  say 'Running app:1'
  "${tsbuild[@]}" run app:1
  say "$("${tsbuild[@]}" images | grep -E '^(NAME|.*app:1)')"
  say "Done in $(($(date +%s) - STARTED)) s"
}

# From Docker Hub where it answers, else made from this machine's own apt sources.
base_image() {
  say 'Pulling debian:bookworm-slim'
  if timeout 120 "${tsbuild[@]}" pull --quiet debian:bookworm-slim >/dev/null 2>&1; then
    "${tsbuild[@]}" tag debian:bookworm-slim "$BASE" >/dev/null
    return
  fi
  say "No answer; making $BASE with mmdebstrap from the apt sources of this machine"
  command -v mmdebstrap >/dev/null || install_mmdebstrap
  debian_rootfs | "${tsbuild[@]}" import - "$BASE" >/dev/null
}

# The sources go into the image, too: a RUN apt-get update asks the same mirrors.
debian_rootfs() {
  local sources
  sources=$(mktemp -d)
  debian_sources "$sources"
  mmdebstrap --quiet --variant=minbase --mode=root \
    --customize-hook='rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*' \
    --customize-hook="cp $sources/* \"\$1\"/etc/apt/sources.list.d/" \
    --customize-hook="! [ -d /etc/apt/apt.conf.d ] || grep -lsi 'proxy\|Verify' /etc/apt/apt.conf.d/* | xargs -r cp -t \"\$1\"/etc/apt/apt.conf.d/" \
    bookworm - "$sources"/*
  rm -rf "$sources"
}

# Only what names bookworm: other sources of the machine have no part in a base image.
debian_sources() {
  local file
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] && grep -q '^Suites:.*bookworm' "$file" && cp "$file" "$1/"
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -f "$file" ] && grep -qE '^deb .* bookworm(-[a-z]+)? .*main' "$file" && grep -E '^deb .* bookworm(-[a-z]+)? .*main' "$file" >"$1/$(basename "$file")"
  done
  [ -n "$(ls -A "$1")" ] || { say 'No bookworm in the apt sources of this machine'; exit 1; }
}

install_mmdebstrap() {
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >&2
}

say() { printf '\n== %s\n' "$*" >&2; }

main
