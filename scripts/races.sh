#!/usr/bin/env bash
# races.sh [SWAPS]: the races for mounts with a million exchanges each, and a locked cache between 64 processes. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
npm run --silent build
rm -rf .build-races && npx tsc -p . --outDir .build-races
trap 'rm -rf .build-races' EXIT
export TSBUILD_RACE_SWAPS=${1:-1000000} TSBUILD_RACE_BUILDS=100 TSBUILD_RACE_PROCESSES=64
node --test --test-reporter=spec .build-races/test/end-to-end/security/races.test.js
node --test --test-reporter=spec --test-name-pattern='C7' .build-races/test/end-to-end/mounts.test.js
