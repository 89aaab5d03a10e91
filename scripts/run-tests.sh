#!/usr/bin/env bash
# run-tests.sh all|unit: compiles and runs the tests; `unit` leaves out whole builds and what is named *.slow.test.ts. Ends with the counts of node:test.
set -euo pipefail
cd "$(dirname "$0")/.."

rm -rf .build
npx tsc -p . --outDir .build
# Whole builds come one file at a time: some look at all processes, mounts and interfaces of the machine.
mapfile -t unit < <(find .build/test -name '*.test.js' -not -path '*/end-to-end/*' -not -name 'package.test.js' | sort)
mapfile -t whole < <(find .build/test -path '*/end-to-end/*.test.js' -o -name 'package.test.js' | sort)

if [ "${1:-all}" = unit ]; then mapfile -t unit < <(printf '%s\n' "${unit[@]}" | grep -v '\.slow\.test\.js$'); fi

status=0
# Some wait for timers: four at a time keep two cores busy.
node --test --test-concurrency=$([ "${1:-all}" = unit ] && echo 4 || echo 2) --test-reporter=spec "${unit[@]}" || status=$?
if [ "${1:-all}" = all ]; then node --test --test-concurrency=1 --test-reporter=spec "${whole[@]}" || status=$?; fi
exit $status
