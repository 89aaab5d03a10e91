#!/usr/bin/env bash
# record-ignore-files.sh: writes fixtures/ignore-files/{rules,wildcards}.json: random contexts, and what a real BuildKit takes of
# them. TSBUILD_RECORD_DOCKER names the docker command; TSBUILD_RECORD_BUILD the folder to compile into.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${TSBUILD_RECORD_BUILD:-.build}
npx tsc -p . --outDir "$out"
exec node "$out/test/end-to-end/_record-ignore-files.js" "$@"
