import type { IncomingMessage } from 'node:http';
import express from 'express';
import { addressKey } from '../limits/address-key.ts';

/**
 * What a request is counted under before Express has seen it, as it is for those that Express sees: the address that it
 * came from, or what the proxies say that are to be believed.
 */
export function clientAddress(trustProxy: boolean | number | string): (req: IncomingMessage) => string {
  const app = express();
  app.set('trust proxy', trustProxy);
  const trusts = app.get('trust proxy fn') as (address: string, hop: number) => boolean;
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
