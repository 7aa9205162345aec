import { storedSecret } from '../auth/stored-secret.ts';
import type { Config } from '../config.ts';
import { Outbox } from '../mail/outbox.ts';
import { Seal } from '../mail/seal.ts';

/** Where a task writes mails, which a running node sends; those of an operator are not counted. */
export async function mailsOf(config: Readonly<Config>): Promise<Outbox> {
  const { dataDir, jwtSecrets, mailFrom, serviceUrl, smtp } = config;
  const secrets = jwtSecrets.length > 0 ? jwtSecrets : [await storedSecret(dataDir)];
  return new Outbox({
    enabled: smtp !== undefined && mailFrom !== undefined,
    seal: new Seal(secrets, 'mails'),
    from: mailFrom,
    publicUrl: serviceUrl,
    count: () => Promise.resolve(true),
  });
}
