#!/usr/bin/env bash
# record-expansion.sh [COUNT]: writes fixtures/expansion/words.json, what a real BuildKit makes of COUNT random words (4000).
# TSBUILD_RECORD_DOCKER names the docker command; TSBUILD_RECORD_BUILD the folder to compile into. Needs the image that record-dockerfiles.sh makes.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${TSBUILD_RECORD_BUILD:-.build}
npx tsc -p . --outDir "$out"
exec node "$out/test/parser/_record-expansion.js" "$@"
