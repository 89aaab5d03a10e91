/** Runs a seccomp filter as the kernel does, over one struct seccomp_data. */
export interface SeccompData {
  readonly arch: number;
  readonly number: number;
  /** The first argument, 64 bits; the others are 0. */
  readonly argument?: bigint;
}

export function runFilter(filter: Buffer, data: SeccompData): number {
  const memory = Buffer.alloc(64);
  memory.writeUInt32LE(data.number >>> 0, 0);
  memory.writeUInt32LE(data.arch, 4);
  memory.writeBigUInt64LE(BigInt.asUintN(64, data.argument ?? 0n), 16);
  let accumulator = 0;
  for (let at = 0; ; at += 8) {
    const code = filter.readUInt16LE(at);
    const [jumpTrue, jumpFalse, k] = [filter.readUInt8(at + 2), filter.readUInt8(at + 3), filter.readUInt32LE(at + 4)];
    const branch = (taken: boolean): number => 8 * (taken ? jumpTrue : jumpFalse);
    if (code === 0x20) {
      accumulator = memory.readUInt32LE(k);
    } else if (code === 0x15) {
      at += branch(accumulator === k);
    } else if (code === 0x35) {
      at += branch(accumulator >= k);
    } else if (code === 0x45) {
      at += branch((accumulator & k) >>> 0 !== 0);
    } else if (code === 0x05) {
      at += 8 * k;
    } else if (code === 0x06) {
      return k;
    } else {
      throw new Error(`Unknown instruction ${code} at ${at / 8}`);
    }
  }
}
