import type { Caller } from './caller.ts';
import type { Webhook, WebhookFailure, WebhookPing } from './contract.ts';

/** A webhook that is to be made. */
export interface NewWebhook {
  /** Where messages are posted: an https address of the public internet. */
  url: string;
  /** As those of a socket; left out: everything public. */
  topics?: readonly string[];
  /** Begins after this position; left out: with what comes next. */
  from?: { seq: number; epoch?: string };
  /** Your password, if your account has one. */
  password?: string | undefined;
}

/** What of a webhook is to be changed. */
export interface WebhookEdit {
  /** Needs the password. */
  url?: string;
  topics?: readonly string[] | null;
  paused?: boolean;
  password?: string | undefined;
}

/** Your webhooks: events that are posted to a server of yours. Not with an API key. */
export class Webhooks {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** The newest first. */
  readonly list = (): Promise<Webhook[]> =>
    this.#caller.body({ method: 'GET', path: PATH, repeatable: true });

  /** @throws {TidingsError} `not_found` */
  readonly get = (id: string): Promise<Webhook> =>
    this.#caller.body({ method: 'GET', path: pathOf(id), repeatable: true });

  /** @returns it, with the secret that messages are signed with, which is not shown again. @throws {TidingsError} `invalid_credentials`, `conflict`, `validation_error` */
  readonly create = ({ from, ...webhook }: NewWebhook): Promise<Webhook & { secret: string }> => {
    const position = from && { after: from.seq, ...(from.epoch !== undefined && { epoch: from.epoch }) };
    return this.#caller.body({
      method: 'POST',
      path: PATH,
      body: { ...webhook, ...position },
      repeatable: false,
    });
  };

  /** Changes, pauses or resumes one. @throws {TidingsError} `not_found`, `invalid_credentials` */
  readonly change = (id: string, edit: WebhookEdit): Promise<Webhook> =>
    this.#caller.body({ method: 'PATCH', path: pathOf(id), body: edit, repeatable: true });

  /** @throws {TidingsError} `not_found` */
  readonly delete = async (id: string): Promise<void> => {
    await this.#caller.call({ method: 'DELETE', path: pathOf(id), repeatable: false });
  };

  /** Another secret; for 24 hours messages are signed with both. @throws {TidingsError} `not_found`, `invalid_credentials` */
  readonly rotateSecret = async (id: string, password: string | undefined): Promise<string> => {
    const { secret } = await this.#caller.body<{ secret: string }>({
      method: 'POST',
      path: `${pathOf(id)}/secret`,
      body: { password },
      repeatable: false,
    });
    return secret;
  };

  /** Posts a message of type `ping`. @returns what came of it. @throws {TidingsError} `not_found`, `conflict` */
  readonly ping = (id: string): Promise<WebhookPing> =>
    this.#caller.body({ method: 'POST', path: `${pathOf(id)}/ping`, repeatable: false });

  /** Continues after another position. @throws {TidingsError} `not_found` */
  readonly replay = (id: string, from: { seq: number; epoch?: string }): Promise<Webhook> => {
    const { seq: after, epoch } = from;
    return this.#caller.body({
      method: 'POST',
      path: `${pathOf(id)}/replay`,
      body: { after, ...(epoch !== undefined && { epoch }) },
      repeatable: true,
    });
  };

  /** The last twenty attempts that failed, the newest first. @throws {TidingsError} `not_found` */
  readonly failures = (id: string): Promise<WebhookFailure[]> =>
    this.#caller.body({ method: 'GET', path: `${pathOf(id)}/failures`, repeatable: true });
}

const PATH = '/users/me/webhooks';

function pathOf(id: string): string {
  return `${PATH}/${encodeURIComponent(id)}`;
}
