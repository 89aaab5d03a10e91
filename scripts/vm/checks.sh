#!/usr/bin/env bash
# checks.sh TSBUILD [CHECK...]: whole builds in the machine of scripts/vm-test.sh, judged by what the kernel says of them.
# Each function `check_…` is a check; its name says what it checks. Ends with their counts.
set -uo pipefail

TSBUILD=$1
CHOSEN=("${@:2}")
export TSBUILD_ROOT=/tmp/state
HERE=$(cd "$(dirname "$0")" && pwd)
WORK=$(mktemp -d)
cd "$WORK" || exit
passed=0 failed=0

main() {
  local name
  echo "Linux $(uname -r), Node $(node --version), cgroups: $(stat -f -c %T /sys/fs/cgroup)"
  busybox_rootfs
  for name in $(declare -F | sed -n 's/^declare -f check_/check_/p' | sort); do
    [ ${#CHOSEN[@]} -eq 0 ] || [[ " ${CHOSEN[*]} " == *" $name "* ]] || continue
    local began=$EPOCHREALTIME
    # Not as a condition: there `set -e` would not count.
    (set -e; "$name") >"$WORK/log" 2>&1
    if [ $? -eq 0 ]; then
      passed=$((passed + 1))
      printf 'ok: %s (%s ms)\n' "$(title "$name")" "$(ms_since "$began")"
    else
      failed=$((failed + 1))
      printf 'NOT OK: %s\n' "$(title "$name")"
      sed 's/^/  | /' "$WORK/log"
    fi
  done
  echo "Loaded on demand: $(grep -oE '^(nf_tables|nft_[a-z_]+|veth|nf_nat|nf_conntrack) ' /proc/modules | sort | tr -d '\n')"
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

check_10_the_machine_has_pure_cgroup_v2() {
  [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]
  absent grep -q ' cgroup ' /proc/mounts
}

check_11_a_root_file_system_becomes_an_image() {
  "$TSBUILD" import rootfs.tar busybox
  "$TSBUILD" images | grep busybox
}

# Two stages: the second one gets what the first one saw of itself, by COPY.
check_20_a_build_of_two_stages_runs_its_steps_in_containers() {
  context isolation <<'DOCKERFILE'
FROM busybox AS probe
WORKDIR /seen
COPY probe.sh /
RUN sh /probe.sh
FROM busybox
COPY --from=probe /seen /seen
ENTRYPOINT ["cat"]
DOCKERFILE
  cp "$HERE/probe.sh" isolation/
  "$TSBUILD" build --network none -t isolation:1 isolation
  "$TSBUILD" run isolation:1 /seen/all >seen
  cat seen
}

check_21_each_namespace_is_the_steps_own() {
  local kind
  for kind in mnt pid net uts ipc cgroup; do
    grep -q "^$kind:" seen
    absent grep -qF "$(readlink /proc/self/ns/$kind)" seen
  done
  grep -qx 'cgroup path: 0::/' seen
}

check_22_a_step_has_fourteen_capabilities_and_a_filter() {
  grep -qx 'CapBnd: 00000000a80425fb' seen
  grep -qx 'CapEff: 00000000a80425fb' seen
  grep -qx 'CapInh: 0000000000000000' seen
  grep -qx 'CapAmb: 0000000000000000' seen
  grep -qx 'Seccomp: 2' seen
}

check_23_cgroup2_is_mounted_read_only() {
  grep -qE '^mount: cgroup2? /sys/fs/cgroup cgroup2 ro,' seen
  grep -qx 'mkdir in cgroup: refused' seen
  grep -qx 'cgroup.controllers: readable' seen
}

check_24_proc_and_sys_are_masked_and_read_only() {
  absent grep -E '^(writable|visible|opened):' seen
  grep -qx 'masks: done' seen
}

check_25_an_unchanged_build_is_cached() {
  "$TSBUILD" build --progress plain --network none -t isolation:2 isolation 2>&1 | tee again
  absent grep -q 'wrote the report' again
}

check_26_run_passes_exit_codes_and_leaves_nothing() {
  local status=0
  "$TSBUILD" run --network none --entrypoint sh isolation:1 -c 'exit 7' || status=$?
  [ "$status" = 7 ]
}

check_27_removed_and_replaced_files_are_whiteouts() {
  context whiteouts <<'DOCKERFILE'
FROM busybox
RUN rm -r /home /etc/group && rm -r /var && mkdir /var && touch /var/new && mv /usr /moved && ln -s /bin/sh /bin/other
DOCKERFILE
  "$TSBUILD" build --network none -t whiteouts:1 whiteouts
  "$TSBUILD" run --network none whiteouts:1 sh -c 'ls -d /home /etc/group /var/* /usr /moved/bin /bin/other; echo listed' >listed || true
  cat listed
  diff listed <(printf '%s\n' /bin/other /moved/bin /var/new listed)
}

check_28_the_helper_isolates_as_the_engine_does() {
  TSBUILD_LAUNCHER=helper "$TSBUILD" build --no-cache --network none -t helper:1 isolation
  "$TSBUILD" run --network none helper:1 /seen/all >by-helper
  # But for what is new in each run: the numbers of namespaces, the names of snapshots, and how many processes of a pipe there are just then.
  local new='^((mnt|pid|net|uts|ipc|cgroup|processes): |mount: overlay / )'
  diff <(grep -vE "$new" seen) <(grep -vE "$new" by-helper)
}

check_30_sixty_layers_are_a_base() { layers busybox 1 60; }

# As many as Docker allows, and some more.
check_31_one_hundred_and_thirty_layers_are_a_base() { layers layers:60 61 130; }

check_40_a_machine_without_a_network_builds_and_says_so() {
  context offline <<'DOCKERFILE'
FROM busybox
RUN ip -o link | grep -c LOOPBACK && ping -c 1 127.0.0.1
DOCKERFILE
  "$TSBUILD" build -t offline:1 offline 2>&1 | tee offline.log
  grep -qiE 'offline|no network|no route' offline.log
}

# The rest of the world is a namespace with a TCP server; the step's own address must not be seen there.
check_41_a_step_reaches_the_world_by_translation() {
  uplink
  context online <<'DOCKERFILE'
FROM busybox
RUN nc -w 5 203.0.113.1 7777 </dev/null | tee /answer; grep -q '^you are 203.0.113.2$' /answer
DOCKERFILE
  "$TSBUILD" build -t online:1 online
  [ -z "$(nft list tables | grep tsbuild)" ]
}

check_50_sigkill_leaves_nothing() {
  context doomed <<'DOCKERFILE'
FROM busybox
RUN (trap "" INT TERM HUP; setsid sleep 4242 &) ; touch /begun; sleep 600
DOCKERFILE
  local before round
  before=$(machine_state)
  for round in 1 2 3; do
    "$TSBUILD" build --no-cache -t doomed:1 doomed &
    local pid=$!
    for _ in $(seq 300); do [ "$(pgrep -fc 'sleep 4242')" != 0 ] && break; sleep 0.1; done
    sleep "0.$round"
    pgrep -f 'sleep 4242'
    kill -9 "$pid"
    wait "$pid" || true
    for _ in $(seq 50); do [ "$(machine_state)" = "$before" ] && break; sleep 0.1; done
    diff <(echo "$before") <(machine_state)
  done
  "$TSBUILD" images
  [ -z "$(ls "$TSBUILD_ROOT/ingest")" ]
}

check_50_limits_of_a_step_are_in_its_own_group() {
  context limited <<'DOCKERFILE'
FROM busybox
RUN cd /sys/fs/cgroup && for file in memory.max memory.swap.max cpu.max cpu.weight cpuset.cpus pids.max; do echo "$file $(cat $file)"; done >/files
DOCKERFILE
  local limits=(--memory 64m --memory-swap 96m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 77)
  "$TSBUILD" build --network none -t limited:1 "${limits[@]}" limited
  "$TSBUILD" run --network none limited:1 cat /files | tee files
  printf '%s\n' 'memory.max 67108864' 'memory.swap.max 33554432' 'cpu.max 50000 100000' 'cpu.weight 59' 'cpuset.cpus 0' 'pids.max 77' | cmp - files
}

check_51_a_step_out_of_memory_is_told_as_such() {
  out_of_memory | tee told
  grep -qF 'was killed with SIGKILL, exit code 137: out of memory (limit 32 MiB)' told
}

check_52_a_group_that_only_tsbuild_is_in_hands_its_controllers_down() {
  echo +memory >/sys/fs/cgroup/cgroup.subtree_control
  mkdir /sys/fs/cgroup/alone
  hog
  (echo 0 >/sys/fs/cgroup/alone/cgroup.procs && exec "$TSBUILD" build --network none --no-cache --memory 32m hog 2>&1) | tee told || true
  grep -qF 'out of memory (limit 32 MiB)' told
  [ "$(cat /sys/fs/cgroup/alone/cgroup.subtree_control)" = memory ]
  "$TSBUILD" images >/dev/null
  [ -z "$(find /sys/fs/cgroup/alone -mindepth 1 -type d)" ]
  rmdir /sys/fs/cgroup/alone
}

check_53_beside_other_processes_the_group_is_below_the_root() {
  mkdir /sys/fs/cgroup/crowd
  (echo 0 >/sys/fs/cgroup/crowd/cgroup.procs && out_of_memory) | tee told
  grep -qF 'out of memory (limit 32 MiB)' told
  rmdir /sys/fs/cgroup/crowd
}

check_60_steps_with_ids_of_their_own_make_the_same_layers() {
  owners
  "$TSBUILD" build --network none --no-cache -t owners:1 owners
  "$TSBUILD" build --network none --no-cache --userns auto -t owners:2 owners
  diff <(layers_of owners:1) <(layers_of owners:2)
  [ "$("$TSBUILD" run --network none --userns auto owners:2 awk '{print $2}' /proc/self/uid_map)" -ge 1879048192 ]
}

check_61_an_ordinary_user_builds_the_same_layers() {
  owners
  "$TSBUILD" build --network none --no-cache -t owners:1 owners
  useradd -m -K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0 builder
  usermod --add-subuids 300000-365535 --add-subgids 300000-365535 builder
  cp -r rootfs.tar owners ~builder
  chmod 755 "$WORK"
  local user=(setpriv --reuid builder --regid builder --clear-groups env HOME=/home/builder TSBUILD_ROOT=/home/builder/state "$TSBUILD")
  "${user[@]}" import ~builder/rootfs.tar busybox
  "${user[@]}" build --network none -t owners:3 ~builder/owners
  diff <(layers_of owners:1) <("${user[@]}" inspect owners:3 | grep -A99 '"layers"' | grep -o 'sha256:[0-9a-f]*')
}

# layers BASE FROM TO: an image of TO layers of files, and one on top of it that removes from the lowest.
layers() {
  local count=$3
  { echo "FROM $1"; for i in $(seq "$2" "$3"); do echo "COPY file /layers/$i"; done; } | context "layers-$count"
  echo content >"layers-$count/file"
  "$TSBUILD" build -q -t "layers:$count" "layers-$count"
  printf 'FROM layers:%s\nRUN [ "$(ls /layers | wc -l)" = %s ] && rm /layers/1 && ls /layers | wc -l >/left\n' "$count" "$count" | context "top-$count"
  "$TSBUILD" build --network none -t "top:$count" "top-$count"
  [ "$("$TSBUILD" run --network none "top:$count" cat /left)" = $((count - 1)) ]
}

owners() {
  context owners <<'DOCKERFILE'
FROM busybox
RUN mkdir -p /d/e && echo 1 >/d/e/f && chown 1000:1000 /d && chown 65533:7 /d/e/f && chmod 4751 /d/e/f && ln -s f /d/e/link && chown -h 5:6 /d/e/link && find / -xdev -newer /etc/passwd -exec touch -h -d @1700000000 '{}' + 2>/dev/null; true
RUN rm -r /home && mkdir /home && mv /d/e /moved && chown 12 /moved/f && find / -xdev -newer /etc/passwd -exec touch -h -d @1700000000 '{}' + 2>/dev/null; true
DOCKERFILE
}

layers_of() {
  "$TSBUILD" inspect "$1" | grep -A99 '"layers"' | grep -o 'sha256:[0-9a-f]*'
}

uplink() {
  ip netns add world
  ip link add up0 type veth peer name eth0 netns world
  ip addr add 203.0.113.2/24 dev up0
  ip link set up0 up
  ip -n world addr add 203.0.113.1/24 dev eth0
  ip -n world link set eth0 up
  ip -n world link set lo up
  ip route add default via 203.0.113.1
  ip netns exec world node -e 'require("net").createServer((peer) => peer.end(`you are ${peer.remoteAddress}\n`)).listen(7777, "203.0.113.1")' &
  for _ in $(seq 100); do ip netns exec world ss -ltn | grep -q 7777 && return; sleep 0.1; done
  return 1
}

hog() {
  printf 'FROM busybox\nRUN tail -c 199999999 /dev/zero\n' | context hog
}

# A build whose step needs more memory than it may have; its output.
out_of_memory() {
  hog
  absent "$TSBUILD" build --network none --no-cache --memory 32m hog 2>&1
}

# Processes of steps, mounts, interfaces, packet filters, cgroups, and how many namespaces of each kind processes have.
machine_state() {
  echo "processes: $(pgrep -fc 'sleep 4242')"
  echo "mounts: $(wc -l </proc/self/mountinfo)"
  echo "interfaces: $(ls /sys/class/net | tr '\n' ' ')"
  echo "tables: $(nft list tables | tr '\n' ' ')"
  echo "cgroups: $(find /sys/fs/cgroup -mindepth 1 -type d | wc -l)"
  for kind in mnt net pid uts ipc cgroup; do echo "$kind: $(readlink /proc/[0-9]*/ns/$kind 2>/dev/null | sort -u | wc -l)"; done
}

# `! command` would not end a check.
absent() { if "$@"; then return 1; fi; }

context() {
  mkdir -p "$1"
  cat >"$1/Dockerfile"
}

busybox_rootfs() {
  mkdir -p rootfs/{bin,etc,tmp,root,home/app,usr/bin,var/lib}
  cp "$(command -v busybox)" rootfs/bin/busybox
  local applet
  for applet in $(busybox --list | grep -vx busybox); do ln -s busybox "rootfs/bin/$applet"; done
  printf 'root:x:0:0:root:/root:/bin/sh\n' >rootfs/etc/passwd
  printf 'root:x:0:\n' >rootfs/etc/group
  tar --numeric-owner --owner=0 --group=0 -cf rootfs.tar -C rootfs .
}

title() { local words=${1#check_}; words=${words#*_}; echo "${words//_/ }"; }
ms_since() { echo $(((${EPOCHREALTIME/./} - ${1/./}) / 1000)); }

main
