import assert from 'node:assert/strict';
import { test } from 'node:test';
import { capabilitySet } from '../../src/sandbox/capability.ts';
import { DEFAULT_CAPABILITIES, DEFAULT_READONLY_PATHS, defaultMaskedPaths } from '../../src/sandbox/container-defaults.ts';

test('the read-only paths are those of containerd and Moby, on machines that lack one of them, too', () => {
  assert.deepEqual([...DEFAULT_READONLY_PATHS].sort(), ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']);
});

test('the masked paths are the union of containerd and Moby, with the thermal counters of every CPU', () => {
  const paths = defaultMaskedPaths({ cgroup2: true, throttledCpus: ['cpu3'], userNamespace: 'initial', ids: 'all' });
  assert.deepEqual(paths.map(({ path }) => path).sort(), [
    ...['/proc/acpi', '/proc/asound', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/sched_debug'],
    ...['/proc/scsi', '/proc/timer_list', '/proc/timer_stats', '/sys/devices/system/cpu/cpu3/thermal_throttle'],
    ...['/sys/devices/virtual/powercap', '/sys/firmware'],
  ]);
});

test('the capabilities are the fourteen of Docker', () => {
  assert.equal(capabilitySet(DEFAULT_CAPABILITIES), 0xa80425fbn);
});
