#!/bin/sh
# native-code.sh [--check]: compiles src/sys/native/*.c for both architectures and writes (or compares) src/sys/native/machine-code.ts.
# Needs Debian's gcc and gcc-aarch64-linux-gnu. Bytes depend on the compiler's version; machine-code.ts says which made them.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

common='-Os -std=c11 -Wall -Wextra -Werror -ffreestanding -fno-builtin -fno-stack-protector -fno-asynchronous-unwind-tables
  -fno-tree-loop-distribute-patterns -fcf-protection=none -fno-ident -nostdlib -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro'

compile() { # ARCH COMPILER FLAGS...
  arch=$1 compiler=$2
  shift 2
  flags=$(echo "$common" "$@" | tr '\n' ' ')
  [ "$arch" = x64 ] || flags=$(echo "$flags" | sed 's/-fcf-protection=none//')
  for name in launch sum; do
    # shellcheck disable=SC2086
    $compiler $flags -fPIC -static -Wl,-T,src/sys/native/flat.ld -Wl,-e,$name -o "$work/$name.$arch.elf" "src/sys/native/$name.c"
    "${compiler%gcc}objcopy" -O binary "$work/$name.$arch.elf" "$work/$name.$arch"
  done
  # shellcheck disable=SC2086
  $compiler $flags -fno-pic -no-pie -static -s -Wl,-n -o "$work/init.$arch" src/sys/native/init.c
  # shellcheck disable=SC2086
  $compiler $flags -fno-pic -no-pie -static -s -Wl,-n -o "$work/enter.$arch" src/sys/native/enter.c
}

compile x64 gcc -mno-red-zone -mgeneral-regs-only
compile arm64 aarch64-linux-gnu-gcc -mgeneral-regs-only

literal() { # FILE INDENT
  base64 -w 120 "$1" | sed "s/^/      '/; s/\$/' +/" | sed "\$ s/ +\$/,/"
}

{
  echo "/** Compiled from launch.c, sum.c, init.c and enter.c by scripts/native-code.sh ($(gcc -dumpfullversion)); never edit by hand. */"
  echo 'export interface MachineCode {'
  echo '  /** Position-independent code of launch.c, entry at its first byte; base64. */'
  echo '  readonly launch: string;'
  echo '  /** The same of sum.c. */'
  echo '  readonly sum: string;'
  echo '  /** Static ELF executable of init.c; base64. */'
  echo '  readonly init: string;'
  echo '  /** Static ELF executable of enter.c; base64. */'
  echo '  readonly enter: string;'
  echo '}'
  echo
  echo "export const MACHINE_CODE: Readonly<Record<'x64' | 'arm64', MachineCode>> = {"
  for arch in x64 arm64; do
    echo "  $arch: {"
    for name in launch sum init enter; do
      echo "    $name:"
      literal "$work/$name.$arch"
    done
    echo '  },'
  done
  echo '};'
} > "$work/machine-code.ts"

if [ "${1:-}" = --check ]; then
  cmp "$work/machine-code.ts" src/sys/native/machine-code.ts
else
  cp "$work/machine-code.ts" src/sys/native/machine-code.ts
  wc -c "$work"/launch.x64 "$work"/launch.arm64 "$work"/sum.x64 "$work"/sum.arm64 "$work"/init.x64 "$work"/init.arm64 "$work"/enter.x64 "$work"/enter.arm64
fi
