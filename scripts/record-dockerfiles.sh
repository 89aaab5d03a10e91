#!/usr/bin/env bash
# record-dockerfiles.sh [--missing | CASE...]: writes expected.json of the cases of fixtures/dockerfiles (of all by default)
# by a real BuildKit. TSBUILD_RECORD_DOCKER names the docker command; TSBUILD_RECORD_BUILD the folder to compile into.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${TSBUILD_RECORD_BUILD:-.build}
npx tsc -p . --outDir "$out"
exec node "$out/test/end-to-end/_record-dockerfiles.js" "$@"
