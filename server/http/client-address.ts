import type { IncomingMessage } from 'node:http';
import proxyAddr from 'proxy-addr';
import { addressKey } from '../limits/address-key.ts';

/** Express's own grammar: a flag, a number of hops, or a list of addresses and subnets. */
export type TrustProxy = boolean | number | string;

/**
 * Whether an address is that of a proxy to be believed, as Express reads its setting `trust proxy`; `hop` is 0 for
 * anyone who holds the connection, 1 for who was before it.
 */
export function proxyTrust(trustProxy: TrustProxy): (address: string, hop: number) => boolean {
  if (typeof trustProxy === 'boolean') return () => trustProxy;
  if (typeof trustProxy === 'number') return (_address, hop) => hop < trustProxy;
  return proxyAddr.compile(trustProxy.split(',').map((item) => item.trim()));
}

/**
 * What a request is counted under before Express has seen it, as it is for those that Express sees: the address that it
 * came from, or what the proxies say that are to be believed.
 */
export function clientAddress(trustProxy: TrustProxy): (req: IncomingMessage) => string {
  const trusts = proxyTrust(trustProxy);
  return (req) => {
    const told = String(req.headers['x-forwarded-for'] ?? '')
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean);
    let address = req.socket.remoteAddress ?? '';
    for (let hop = 0; told.length > 0 && trusts(address, hop); hop += 1) address = told.pop() ?? address;
    return addressKey(address);
  };
}
