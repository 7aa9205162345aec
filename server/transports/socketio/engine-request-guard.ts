import { type IncomingMessage, ServerResponse } from 'node:http';
import cors, { type CorsOptions } from 'cors';
import type { Server } from 'socket.io';
import type { Delivery } from '../../delivery/delivery.ts';
import { AppError, unavailable } from '../../errors.ts';
import type { RequestGuard } from '../../http/request-guard.ts';
import { whenOver } from '../../async/response-end.ts';
import {
  type ConnectionLimits,
  ConnectionRefusal,
  type ConnectionSlot,
} from '../../limits/connection-limits.ts';
import type { Logger } from '../../logger.ts';
import type { Metrics } from '../../ops/metrics.ts';
import { serveClientScript } from './client-script.ts';
import {
  type EngineResponse,
  oddForm,
  opensSession,
  otherProtocol,
  queryOf,
  refuseWith,
  setSocketHeaders,
} from './engine-requests.ts';
import { refuseOtherMethods } from './polling-methods.ts';

export interface EngineRequestOptions {
  log: Logger;
  metrics: Metrics;
  delivery: Pick<Delivery, 'draining'>;
  /** Whether a request may come in, by the host that it names and the page that it is from. */
  guard: RequestGuard;
  /** What pages of other origins may read of the answers of long-polling. */
  crossOrigin: CorsOptions;
  connectionLimits: ConnectionLimits;
  /** The key under which connections of one sender are counted. */
  addressOf: (req: IncomingMessage) => string;
  /** Whether a request comes from a sibling, which has let it in already. */
  isForwarded?: (req: IncomingMessage) => boolean;
}

/** What a client is told to wait for when the node shuts down. Seconds. */
const DRAINING_PAUSE = 2;
/** A place that was taken for a connection which is not there yet, and what gives it back if it never comes. */
interface Reservation {
  slot: ConnectionSlot;
  abandon: () => void;
}

/**
 * Which requests of Engine.IO may come in: by the host that they name, the page that they are from and their form; and
 * for one that asks for a session, whether there is a place. What comes after, on the connection, is the gateway's.
 */
export class EngineRequestGuard {
  readonly #options: EngineRequestOptions;
  readonly #reservations = new WeakMap<IncomingMessage, Reservation>();
  #hasWarnedOfProtocol = false;

  constructor(options: EngineRequestOptions) {
    this.#options = options;
  }

  /** Looks at every request of an Engine.IO server from here on. */
  watch(engine: Server['engine']): void {
    const allowOrigins = cors(this.#options.crossOrigin);
    engine.use(setSocketHeaders);
    engine.use(this.#middleware((req) => this.#hostRefusal(req)));
    engine.use((req: IncomingMessage, res: EngineResponse, next: () => void) => {
      // A WebSocket has no headers for a page to read.
      if (res instanceof ServerResponse) allowOrigins(req, res, next);
      else next();
    });
    engine.use(serveClientScript);
    engine.use(refuseOtherMethods);
    engine.use(
      this.#middleware((req, res) => {
        const query = queryOf(req);
        return this.#pageRefusal(req, query) ?? this.#newcomerRefusal(req, res, query);
      }),
    );
  }

  /**
   * Answers a request for a session that another worker holds, if it may not come in.
   * @returns whether it has
   */
  refused(req: IncomingMessage, res: EngineResponse): boolean {
    const refusal = this.#hostRefusal(req) ?? this.#pageRefusal(req, queryOf(req));
    if (refusal) refuseWith(req, res, refusal);
    return refusal !== undefined;
  }

  #middleware(refusalOf: (req: IncomingMessage, res: EngineResponse) => AppError | undefined) {
    return (req: IncomingMessage, res: EngineResponse, next: () => void): void => {
      const refusal = refusalOf(req, res);
      if (refusal) refuseWith(req, res, refusal);
      else next();
    };
  }

  #hostRefusal(req: IncomingMessage): AppError | undefined {
    if (this.#options.isForwarded?.(req) === true) return undefined;
    return this.#counted('host', this.#options.guard.hostRefusal(req));
  }

  /** By the page that it is from, and by its form: what holds for each request of a session, not only for the first. */
  #pageRefusal(req: IncomingMessage, query: URLSearchParams): AppError | undefined {
    if (this.#options.isForwarded?.(req) === true) return undefined;
    // A browser lets any page open a WebSocket anywhere: unlike with CORS, the server has to say no.
    const foreign = this.#options.guard.originRefusal(req, { navigation: false });
    if (foreign) return this.#counted('origin', foreign);
    const protocol = otherProtocol(query);
    if (protocol !== undefined) return this.#counted('protocol', this.#protocolRefusal(req, protocol));
    return this.#counted('form', oddForm(req, query));
  }

  #protocolRefusal(req: IncomingMessage, protocol: string): AppError {
    if (!this.#hasWarnedOfProtocol) {
      this.#hasWarnedOfProtocol = true;
      this.#options.log.warn(
        {
          protocol: protocol.slice(0, 20),
          user_agent: req.headers['user-agent']?.slice(0, 200),
          address: this.#options.addressOf(req),
        },
        'a Socket.IO client of version 2 or older was refused: version 3 or later is required',
      );
    }
    return new AppError(
      'malformed',
      'Engine.IO protocol version 4 (EIO=4) is required: use a Socket.IO client of version 3 or later.',
    );
  }

  /**
   * Of requests that ask for a session: whether there is a place. It is taken at once, or a hundred requests of one
   * packet would have the last one.
   */
  #newcomerRefusal(req: IncomingMessage, res: EngineResponse, query: URLSearchParams): AppError | undefined {
    if (!opensSession(query)) return undefined;
    if (this.#options.delivery.draining)
      return this.#counted(
        'draining',
        unavailable('The node is shutting down. Connect again.', DRAINING_PAUSE),
      );
    try {
      const slot = this.#options.connectionLimits.take(this.#options.addressOf(req));
      const abandon = () => {
        if (this.#reservations.delete(req)) slot.release();
      };
      this.#reservations.set(req, { slot, abandon });
      if (res instanceof ServerResponse) whenOver(res, abandon);
      else req.socket.once('close', abandon);
      return undefined;
    } catch (error) {
      if (!(error instanceof ConnectionRefusal)) throw error;
      return this.#counted(reasonOf(error), error);
    }
  }

  /** The place that was taken for a connection when it was asked for. */
  slotOf(req: IncomingMessage): ConnectionSlot | undefined {
    const reservation = this.#reservations.get(req);
    if (!reservation) return undefined;
    this.#reservations.delete(req);
    req.socket.off('close', reservation.abandon);
    return reservation.slot;
  }

  #counted(reason: string, refusal: AppError | undefined): AppError | undefined {
    if (refusal) this.#options.metrics.handshakesRefused.inc({ reason });
    return refusal;
  }
}

/** What a handshake that got no place is counted under. */
export function reasonOf({ reason }: ConnectionRefusal): 'full' | 'crowded' {
  return reason === 'full' ? 'full' : 'crowded';
}
