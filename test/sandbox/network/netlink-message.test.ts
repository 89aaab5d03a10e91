import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  attribute,
  nested,
  netlinkMessage,
  parseAttributes,
  parseMessages,
  textAttribute,
} from '../../../src/sandbox/network/netlink-message.ts';

describe('netlinkMessage()', () => {
  it('netlinkMessage() and parseMessages() agree, with padding after odd attributes', () => {
    const bytes = netlinkMessage(16, 5, 7, [textAttribute(3, 'eth0'), nested(18, attribute(1, Buffer.from('abc')))]);
    assert.equal(bytes.length, 16 + 12 + 12);
    const messages = parseMessages(Buffer.concat([bytes, bytes]));
    assert.equal(messages.length, 2);
    const [message = assert.fail()] = messages;
    assert.deepEqual([message.type, message.sequence], [16, 7]);
    const attributes = parseAttributes(message.body);
    assert.equal(attributes.get(3)?.toString(), 'eth0\0');
    assert.equal(
      parseAttributes(attributes.get(18) ?? assert.fail())
        .get(1)
        ?.toString(),
      'abc',
    );
  });

  it('parseMessages() and parseAttributes() refuse sizes that do not fit', () => {
    const message = netlinkMessage(1, 0, 1, []);
    message.writeUInt32LE(17, 0);
    assert.throws(() => parseMessages(message), /does not fit/);
    message.writeUInt32LE(0, 0);
    assert.throws(() => parseMessages(message), /does not fit/);
    assert.throws(() => parseAttributes(Buffer.from([9, 0, 1, 0, 0])), /does not fit/);
    assert.throws(() => parseAttributes(Buffer.from([3, 0, 1, 0])), /does not fit/);
  });
});
