import type { Server } from 'node:http';
import { addressKey } from './address-key.ts';

/**
 * Limits the TCP connections of one address, also those that never send anything: Node ends a connection that has sent
 * no request after ten seconds and an idle one after a minute, but until then it takes one of `maxConnections`. What is
 * over the bound is reset at once: it has asked nothing, so there is nothing to answer.
 * @param options.most connections of one address
 * @param options.isProxy whether an address is that of a proxy to be believed, whose connections are those of all its clients
 */
export function boundConnections(
  server: Server,
  {
    most,
    isProxy,
    onRefused,
  }: { most: number; isProxy: (address: string) => boolean; onRefused: (address: string) => void },
): void {
  const byAddress = new Map<string, number>();
  server.on('connection', (socket) => {
    // Gone already where the peer has reset it; then there is nothing to be bounded.
    const { remoteAddress } = socket;
    if (remoteAddress === undefined || isProxy(remoteAddress)) return;
    const address = addressKey(remoteAddress);
    const before = byAddress.get(address) ?? 0;
    if (before >= most) {
      socket.resetAndDestroy();
      onRefused(address);
      return;
    }
    byAddress.set(address, before + 1);
    socket.once('close', () => {
      const left = (byAddress.get(address) ?? 0) - 1;
      if (left > 0) byAddress.set(address, left);
      else byAddress.delete(address);
    });
  });
}
