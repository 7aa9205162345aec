import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import { Webhook } from 'standardwebhooks';

/** What a webhook is posted. */
export interface Hooked {
  type: string;
  timestamp: string;
  data: Record<string, unknown>;
  epoch: string;
  seq: number;
  prev?: number;
}

/** A message as it came, verified by the public library of the Standard Webhooks specification. */
export interface Received {
  id: string;
  headers: Record<string, string>;
  text: string;
  message: Hooked;
}

type Answer = (res: ServerResponse, received: Received, req: IncomingMessage) => void;

/** A receiver of webhooks as somebody would write one. It takes everything unless a test says otherwise. */
export class WebhookReceiver {
  readonly received: Received[] = [];
  /** What it could not verify. */
  readonly faults: string[] = [];
  /** The most requests that were open at once. */
  mostOpen = 0;
  secret = '';
  answer: Answer = (res) => res.writeHead(204).end();
  readonly #server: Server;
  #open = 0;

  private constructor(tls: ServerOptions | undefined) {
    const listener: RequestListener = (req, res) => void this.#take(req, res);
    this.#server = tls ? createTlsServer(tls, listener) : createServer(listener);
  }

  /** @param tls a key and a certificate, for https */
  static async start(tls?: ServerOptions): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver(tls);
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** The numbers of the events that came, in their order. */
  get seqs(): number[] {
    return this.received.filter(({ message }) => message.type !== 'ping').map(({ message }) => message.seq);
  }

  ofType(type: string): Received[] {
    return this.received.filter(({ message }) => message.type === type);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #take(req: IncomingMessage, res: ServerResponse): Promise<void> {
    this.#open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.#open);
    res.once('close', () => (this.#open -= 1));
    let text = '';
    for await (const chunk of req) text += String(chunk);
    const headers = Object.fromEntries(
      Object.entries(req.headers).map(([name, value]) => [name, String(value)]),
    );
    try {
      const message = new Webhook(this.secret).verify(text, headers) as Hooked;
      const received = { id: headers['webhook-id'] ?? '', headers, text, message };
      this.received.push(received);
      this.answer(res, received, req);
    } catch (error) {
      this.faults.push(`${req.method ?? ''} ${req.url ?? ''}: ${String(error)}`);
      res.writeHead(400).end();
    }
  }
}
