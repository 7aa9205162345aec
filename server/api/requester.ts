import type { Request, Response } from 'express';
import type { Identity } from '../identity.ts';
import { unavailable } from '../errors.ts';
import { addressKey } from '../limits/address-key.ts';
import { sendersAt } from '../queues/senders.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { whenOver } from '../async/response-end.ts';

/**
 * Who waits in a queue for a request's sake: its address and its user, until its answer has been sent or its client has left.
 * The address counts for users too: an address with many accounts has the share of one. Found out when a queue asks: most
 * requests wait for nothing.
 */
export function requesterOf(req: Request, res: Response, user: Identity | undefined): Requester {
  return new RequestSender(req, res, user);
}

class RequestSender implements Requester {
  readonly #req: Request;
  readonly #res: Response;
  readonly #user: Identity | undefined;
  #senders: readonly string[] | undefined;
  #signal: AbortSignal | undefined;

  constructor(req: Request, res: Response, user: Identity | undefined) {
    this.#req = req;
    this.#res = res;
    this.#user = user;
  }

  get senders(): readonly string[] {
    return (this.#senders ??= sendersAt(addressKey(this.#req.ip ?? ''), this.#user?.id));
  }

  get signal(): AbortSignal {
    return (this.#signal ??= leavingOf(this.#res));
  }
}

function leavingOf(res: Response): AbortSignal {
  const leaving = new AbortController();
  whenOver(res, () =>
    leaving.abort(unavailable('The client disconnected before its request was handled.', 1)),
  );
  return leaving.signal;
}
