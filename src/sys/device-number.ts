/** The number of a device as the kernel and Node pack it: 12 bits of major, 20 of minor. Source: Linux include/linux/kdev_t.h. */

export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

export function splitDevice(packed: number): DeviceNumber {
  return { major: (packed >>> 8) & 0xfff, minor: (packed & 0xff) | ((packed >>> 12) & 0xf_ff00) };
}

export function packDevice({ major, minor }: DeviceNumber): number {
  return ((major << 8) | (minor & 0xff) | ((minor & ~0xff) << 12)) >>> 0;
}
