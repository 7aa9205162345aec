import type pg from 'pg';
import type { Check, Finding } from '../database/check.ts';
import { inWords } from '../text/time-span.ts';

/** A mail is tried again at growing intervals: so many tries take more than two minutes. */
const TRIES = 5;

/** Mails that nobody sends, or the mail server does not take. */
async function findStuck(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ untried: number; failing: number; seconds: number }>(
    `select count(*) filter (where next_attempt_at < now() - interval '2 minutes') as untried,
       count(*) filter (where attempts >= $1) as failing,
       coalesce(extract(epoch from now() - min(created_at)), 0)::integer as seconds
     from mails
     where content is not null and expires_at > now()
       and (next_attempt_at < now() - interval '2 minutes' or attempts >= $1)`,
    [TRIES],
  );
  const { untried = 0, failing = 0, seconds = 0 } = rows[0] ?? {};
  if (untried > 0)
    return [
      {
        what: `No node sends mails: ${untried} wait, the oldest for ${inWords(seconds)}. Does each node have SMTP_URL and MAIL_FROM?`,
      },
    ];
  return failing === 0
    ? []
    : [
        {
          what: `The mail server takes no mail: ${failing} were tried ${TRIES} times or more, the oldest waits for ${inWords(seconds)}. The log says why.`,
        },
      ];
}

/** Mails of the last day that were given up. */
async function hintAtGivenUp(client: pg.ClientBase): Promise<string | undefined> {
  const { rows } = await client.query<{ refused: number; late: number }>(
    `select count(*) filter (where refused) as refused,
       count(*) filter (where content is not null and expires_at <= now()) as late
     from mails where created_at > now() - interval '4 days'`,
  );
  const { refused = 0, late = 0 } = rows[0] ?? {};
  const reasons = [
    ...(refused > 0 ? [`${refused} were refused by the mail server`] : []),
    ...(late > 0 ? [`the time of ${late} was up before they could be sent`] : []),
  ];
  return reasons.length === 0 ? undefined : `Given up lately: ${reasons.join(', and ')}.`;
}

export const mailChecks: readonly Check[] = [{ what: 'mail', find: findStuck, hint: hintAtGivenUp }];
