import { expect } from 'chai';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { heldWire } from './support/held-wire.ts';
import { TcpProxy } from './support/tcp-proxy.ts';
import { until } from './support/waiting.ts';

/** The fault harness trusts this tap to see what its clients say and are told. */
describe('What passes a proxy of the fault harness', () => {
  it('is held against the AsyncAPI document in both directions', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    const proxy = await TcpProxy.start({ targets: () => [(server.address() as AddressInfo).port] });
    const faults: string[] = [];
    proxy.tap = heldWire((fault) => faults.push(fault));
    try {
      server.on('connection', (node) => {
        node.send('42["feed:head",{"seq":1,"prev":1}]');
        node.send(`42["gossip",{"text":"${'x'.repeat(300)}"}]`);
        node.on('message', () => node.send('42["last",{}]'));
      });
      const client = new WebSocket(`ws://127.0.0.1:${proxy.port}/socket.io/`);
      await once(client, 'open');
      client.send('421["untrack",{"post_ids":"all"}]');
      await until('both have spoken', () => faults.some((fault) => fault.includes('"last"')));
      client.close();
      expect(faults.map((fault) => fault.slice(0, 30))).to.have.members([
        'the server said "gossip" is no',
        'the server said "last" is not ',
        'a client said untrack: data/0/',
      ]);
    } finally {
      await proxy.stop();
      server.close();
    }
  });
});
