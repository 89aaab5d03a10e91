#!/usr/bin/env bash
# main.sh REPOSITORY: what the machine of scripts/vm-test.sh does, from its booted root file system to its end.
repository=$1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
cd "$repository" || exit
ip link set lo up
# The package as it is installed: koffi beside it.
mkdir -p /tmp/tsbuild
cp -r package.json bin dist /tmp/tsbuild/
mkdir -p /tmp/tsbuild/node_modules
ln -s "$repository"/node_modules/koffi* /tmp/tsbuild/node_modules/
mapfile -t suites < <(grep . /mnt/suites)
if [ ${#suites[@]} -eq 0 ] || [[ ${suites[0]} == check_* ]]; then
  bash scripts/vm/checks.sh /tmp/tsbuild/bin/tsbuild "${suites[@]}"
else
  # Tests of networks want a way out; this one leads nowhere.
  ip link add up0 type dummy && ip addr add 203.0.113.2/24 dev up0 && ip link set up0 up && ip route add default via 203.0.113.1
  node --test --test-concurrency=1 --test-reporter=spec "${suites[@]}"
fi
echo "vm-exit: $?"
sleep 0.2
exec busybox poweroff -f
