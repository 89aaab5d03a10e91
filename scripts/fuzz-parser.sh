#!/usr/bin/env bash
# fuzz-parser.sh [COUNT] [SEED]: COUNT (1,000,000) mutated Dockerfiles through the parser, the linter and the planner, on all processors.
# TSBUILD_FUZZ_BUILD names the folder to compile into.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${TSBUILD_FUZZ_BUILD:-.build}
npx tsc -p . --outDir "$out"
exec node "$out/test/parser/_fuzz-parser.js" "$@"
