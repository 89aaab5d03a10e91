/** Opens a socket for undici, and hands on what the server says when it ends the handshake. */
import type { buildConnector } from 'undici';

type Connect = buildConnector.connector;

/** What servers say to a client that shows no certificate: with TLS 1.3 only after our first bytes. */
const ABOUT_IDENTITY = /ALERT_(BAD_CERTIFICATE|CERTIFICATE_REQUIRED|UNKNOWN_CA|CERTIFICATE_UNKNOWN|ACCESS_DENIED)/;

/** `identity`: whether `connect` shows a client certificate where one is asked for. */
export function tellingAlerts(connect: Connect, identity: 'shown' | 'none'): Connect {
  const told = (error: Error): Error => {
    if (identity === 'shown' || !('code' in error) || !ABOUT_IDENTITY.test(String(error.code))) return error;
    return Object.assign(new Error(error.message, { cause: error }), { code: 'CLIENT_CERTIFICATE_MISSING' });
  };
  return (options, callback) =>
    connect(options, (...result) => {
      const [error, socket] = result;
      if (error !== null) return callback(told(error), null);
      // An alert comes with the end of the stream behind it, and undici would report that.
      socket?.prependOnceListener('error', (alert) => socket.destroy(told(alert)));
      callback(...result);
    });
}
