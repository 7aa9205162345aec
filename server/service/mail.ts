import { ResetRequests } from '../auth/reset-requests.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../logger.ts';
import { Outbox } from '../mail/outbox.ts';
import { Seal } from '../mail/seal.ts';
import { smtpTransport, terminalTransport, type Transport } from '../mail/transport.ts';
import { MailWorker } from '../mail/worker.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { DatabaseParts } from './database.ts';
import type { LimitParts } from './limits.ts';
import type { Part } from './part.ts';

export interface MailParts {
  mails: Outbox;
  resetRequests: ResetRequests;
  /** Sends them, where there is a way to. */
  mailWorker: Part;
}

/** Mails: what is to be sent, and who sends it. */
export function createMail(
  config: Readonly<Config>,
  { db, mayWrite }: Pick<DatabaseParts, 'db' | 'mayWrite'>,
  secrets: readonly string[],
  { log, metrics }: { log: Logger; metrics: Metrics },
  { mayMail }: Pick<LimitParts, 'mayMail'>,
): MailParts {
  const seal = new Seal(secrets, 'mails');
  const transport = transportOf(config);
  const mails = new Outbox({
    enabled: transport !== undefined,
    seal,
    from: config.mailFrom,
    publicUrl: config.serviceUrl,
    count: mayMail,
  });
  const resetRequests = new ResetRequests({
    db,
    mails,
    mayWrite,
    onFailed: (error) => log.debug({ err: error }, 'requests for a new password could not be read; retrying'),
  });
  if (!transport) return { mails, mailWorker: {}, resetRequests };
  const mailWorker = new MailWorker({ db, seal, transport, mayWrite, log, metrics });
  mails.onQueued(() => mailWorker.wake());
  return { mails, mailWorker, resetRequests };
}

/** Undefined: no mail can be sent. */
function transportOf({ smtp, mailFrom, nodeEnv }: Readonly<Config>): Transport | undefined {
  if (smtp && mailFrom) return smtpTransport(smtp, mailFrom);
  return nodeEnv === 'development' ? terminalTransport : undefined;
}
