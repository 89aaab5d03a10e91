#!/usr/bin/env bash
# fault-soak.sh kill-points|error-points|full-disk|power-loss|bit-flips [COUNT]: what continuous integration tries at a sample of places, at COUNT of them,
# or at all. Prints its seed; TSBUILD_SEED repeats one. Files lie in TMPDIR, which is to be a real disk.
#   kill-points   SIGKILL at each system call of a build that changes something (all: 15 minutes)
#   error-points  an error of the kernel at such calls (1,000: 15 minutes)
#   full-disk     file systems of so many sizes that are too small (100 of each kind: 5 minutes)
#   power-loss    a file system that writes nothing any more, not even its journal, from a random moment on (200: 5 minutes)
#   bit-flips     a bit that flips in the store, and each file of it deleted, cut, emptied, zeroed, lengthened, swapped (5,000: 25 minutes)
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A all=([kill-points]=1000000 [error-points]=1000 [full-disk]=100 [power-loss]=200 [bit-flips]=5000)
family=${1:?kill-points, error-points, full-disk, power-loss or bit-flips}
[ -n "${all[$family]:-}" ] || { echo "No such family of faults: $family" >&2; exit 2; }

[ -f dist/cli.js ] || npm run --silent build
out=$(mktemp -d -p "$PWD" .build-faults-XXXXXX)
trap 'rm -rf "$out"' EXIT
npx tsc -p . --outDir "$out"
export TSBUILD_POINTS=${2:-${all[$family]}}
node --test --test-reporter=spec "$out/test/end-to-end/$family.test.js"
