#!/usr/bin/env bash
# run-tests.sh all|unit: compiles and runs the tests; `unit` leaves out whole builds. Ends with the counts of node:test.
set -euo pipefail
cd "$(dirname "$0")/.."

rm -rf .build
npx tsc -p . --outDir .build
if [ "${1:-all}" = unit ]; then
  mapfile -t files < <(find .build/test -name '*.test.js' -not -path '*/end-to-end/*' -not -name 'package.test.js' | sort)
else
  mapfile -t files < <(find .build/test -name '*.test.js' | sort)
fi
exec node --test --test-concurrency=2 --test-reporter=spec "${files[@]}"
