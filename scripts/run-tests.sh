#!/usr/bin/env bash
# run-tests.sh all|unit: compiles and runs the tests; `unit` leaves out whole builds and long tables. Ends with the counts of node:test.
set -euo pipefail
cd "$(dirname "$0")/.."

rm -rf .build
npx tsc -p . --outDir .build
# Whole builds come one file at a time: some look at all processes, mounts and interfaces of the machine.
mapfile -t unit < <(find .build/test -name '*.test.js' -not -path '*/end-to-end/*' -not -name 'package.test.js' | sort)
mapfile -t whole < <(find .build/test -path '*/end-to-end/*.test.js' -o -name 'package.test.js' | sort)

# What takes a minute or so each is for the whole run.
long='/(layers/(mutated-archives|malicious-layers|archive-readers)|registry/resume-uploads|cli/retry-flags)\.test\.js$'
if [ "${1:-all}" = unit ]; then mapfile -t unit < <(printf '%s\n' "${unit[@]}" | grep -vE "$long"); fi

status=0
node --test --test-concurrency=2 --test-reporter=spec "${unit[@]}" || status=$?
if [ "${1:-all}" = all ]; then node --test --test-concurrency=1 --test-reporter=spec "${whole[@]}" || status=$?; fi
exit $status
