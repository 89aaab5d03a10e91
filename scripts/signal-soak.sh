#!/usr/bin/env bash
# signal-soak.sh [COUNT]: builds that get a signal at a random moment, or one of whose processes does, COUNT times (1000; one in
# five is a SIGKILL of tsbuild). After each nothing may be left on the machine, and at the end the store is whole. Prints its seed;
# TSBUILD_SEED repeats one. Runs in namespaces of its own, so that other builds on the machine do not count as leftovers.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -f dist/cli.js ] || npm run --silent build
out=$(mktemp -d -p "$PWD" .build-soak-XXXXXX)
trap 'rm -rf "$out"' EXIT
npx tsc -p . --outDir "$out"
export TSBUILD_INTERRUPTS=${1:-1000}
# Steps want a way out; this one leads nowhere.
network='ip link set lo up; ip link add up0 type veth peer name up1; ip link set up1 up; ip addr add 203.0.113.2/24 dev up0; ip link set up0 up; ip route add default via 203.0.113.1'
unshare --pid --fork --mount --net --mount-proc --kill-child bash -euc \
  "$network"'; exec node --test --test-reporter=spec "$0"' "$out/test/end-to-end/interrupt.test.js"
