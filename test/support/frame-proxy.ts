import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { HeldFrames } from './held-frames.ts';

/**
 * Stands between a client and a node and damages what passes: loses the answer to a request that was done, drops single
 * frames, falls silent, cuts. What either end says is held against the AsyncAPI document: behind it is our own client.
 */
export interface FrameProxy {
  url: string;
  /** The node behind it, for what comes from now on. */
  target: string;
  /** Whether a frame from the node never reaches the client. */
  drops: (frame: string) => boolean;
  /** What reaches the client of a frame. */
  changes: (frame: string) => string;
  /** Whether a frame reaches the client twice. */
  repeats: (frame: string) => boolean;
  /** Whether the node does as asked and its answer is lost. */
  losesAnswer: (method: string, path: string) => boolean;
  /** New connections are refused. */
  refusing: boolean;
  /** Nothing from the node passes any more, though everything stays connected. */
  silent: boolean;
  /** WebSockets that were ever opened. */
  opened: number;
  /** Cuts every WebSocket. */
  cut(): void;
  close(): Promise<void>;
}

/** @param target a node's URL */
export async function createFrameProxy(target: string): Promise<FrameProxy> {
  // As long as the node that it passes on says: Node's own five seconds would end a connection that its client means to use.
  const server = createServer({ keepAliveTimeout: 65_000 }, (req, res) => forward(req, res));
  const sockets = new WebSocketServer({ noServer: true });
  const pairs = new Set<[WebSocket, WebSocket]>();
  const proxy: FrameProxy = {
    url: '',
    target,
    drops: () => false,
    changes: (frame) => frame,
    repeats: () => false,
    losesAnswer: () => false,
    refusing: false,
    silent: false,
    opened: 0,
    cut: () => {
      for (const [client, node] of pairs) {
        client.terminate();
        node.terminate();
      }
    },
    close: async () => {
      proxy.cut();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };

  function forward(req: IncomingMessage, res: ServerResponse): void {
    if (proxy.refusing) {
      req.socket.destroy();
      return;
    }
    const { method = 'GET', url: path = '/', headers } = req;
    let isOver = false;
    const onward = request(proxy.target + path, { method, headers }, (answer) => {
      answer.once('end', () => (isOver = true));
      if (proxy.losesAnswer(method, path)) {
        answer.resume().once('end', () => req.socket.destroy());
        return;
      }
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    onward.once('error', () => req.socket.destroy());
    // Whoever leaves does so at the node, too. Afterwards the connection to the node may be another request's.
    res.once('close', () => !isOver && onward.destroy());
    req.pipe(onward);
  }

  server.on('upgrade', (req, socket, head) => {
    if (proxy.refusing) {
      socket.destroy();
      return;
    }
    sockets.handleUpgrade(req, socket, head, (client) => {
      proxy.opened += 1;
      const node = new WebSocket(proxy.target.replace(/^http/, 'ws') + (req.url ?? '/'));
      const pair: [WebSocket, WebSocket] = [client, node];
      pairs.add(pair);
      const held = new HeldFrames({ clientIsOurs: true });
      const early: string[] = [];
      client.on('message', (data: Buffer) => {
        const frame = data.toString();
        held.said(frame);
        if (node.readyState === WebSocket.OPEN) node.send(frame);
        else early.push(frame);
      });
      node.on('open', () => {
        for (const frame of early) node.send(frame);
      });
      node.on('message', (data: Buffer) => {
        const frame = data.toString();
        held.heard(frame);
        if (proxy.silent || proxy.drops(frame) || client.readyState !== WebSocket.OPEN) return;
        const told = proxy.changes(frame);
        client.send(told);
        if (proxy.repeats(frame)) client.send(told);
      });
      for (const end of pair) {
        end.on('error', () => end.terminate());
        end.on('close', () => {
          pairs.delete(pair);
          client.terminate();
          node.terminate();
        });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}
