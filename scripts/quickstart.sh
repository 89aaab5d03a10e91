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
  scripts/debian-rootfs.sh - | "${tsbuild[@]}" import - "$BASE" >/dev/null
}

say() { printf '\n== %s\n' "$*" >&2; }

main
