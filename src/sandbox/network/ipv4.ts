/** IPv4 addresses as unsigned 32-bit numbers, and prefixes of them. */

/** The `length` leading bits of `address`. */
export interface Prefix {
  readonly address: number;
  readonly length: number;
}

/** `10.0.0.1` → 0x0a000001; undefined for anything but four decimal parts. */
export function parseIpv4(text: string): number | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined;
  const parts = text.split('.').map(Number);
  return parts.every((part) => part < 256) ? parts.reduce((address, part) => address * 256 + part, 0) : undefined;
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

/** In network byte order. */
export function ipv4Bytes(address: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(address >>> 0);
  return bytes;
}

/** Whether two prefixes share an address. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  const length = Math.min(a.length, b.length);
  const shift = 32 - length;
  return length === 0 || a.address >>> shift === b.address >>> shift;
}
