/** Why a message was not delivered. */
export const failureReasons = [
  'status',
  'redirect',
  'timeout',
  'connection',
  'certificate',
  'name',
  'private_address',
  'not_https',
] as const;
export type FailureReason = (typeof failureReasons)[number];

/** What came of an attempt: a status of 200 to 299, or why not. */
export type Outcome =
  { delivered: true; status: number } | { delivered: false; status: number | null; reason: FailureReason };

/**
 * Why a webhook is sent nothing: its user wants so, the receiver failed for a day, it said that it is gone, the secret of
 * the webhook can no longer be opened, or the password of its user was changed: somebody else may have made it.
 */
export const pauses = ['owner', 'failing', 'gone', 'secret', 'password'] as const;
export type Pause = (typeof pauses)[number];

/** A webhook as its user sees it. */
export interface WebhookView {
  id: string;
  url: string;
  /** Null: everything public. */
  topics: string[] | null;
  /** RFC 3339, UTC. */
  created_at: string;
  /** Null: it is sent what comes. */
  paused: Pause | null;
  /** How far it has come. */
  epoch: string;
  seq: number;
  /** When a message was delivered last. */
  delivered_at: string | null;
  /** Since when each attempt has failed; null: the last one did not. */
  failing_since: string | null;
  /** When the next attempt is made, of one that fails. */
  next_attempt_at: string | null;
}

export const webhookColumns =
  'w.id, w.url, w.topics, w.created_at, w.paused, w.epoch, w.position, w.delivered_at, w.failing_since, w.next_attempt_at';

/** A row with these columns. */
export interface WebhookRow {
  id: string;
  url: string;
  topics: string[] | null;
  created_at: Date;
  paused: Pause | null;
  epoch: string;
  position: number;
  delivered_at: Date | null;
  failing_since: Date | null;
  next_attempt_at: Date;
}

export function presentWebhook(row: WebhookRow): WebhookView {
  const { id, url, topics, created_at, paused, epoch, position, delivered_at, failing_since } = row;
  const isRetried = paused === null && failing_since !== null;
  return {
    id,
    url,
    topics,
    created_at: created_at.toISOString(),
    paused,
    epoch,
    seq: position,
    delivered_at: delivered_at?.toISOString() ?? null,
    failing_since: failing_since?.toISOString() ?? null,
    next_attempt_at: isRetried ? row.next_attempt_at.toISOString() : null,
  };
}

/** A message that was not delivered. */
export interface FailureView {
  at: string;
  /** Its `webhook-id`. */
  message_id: string;
  reason: FailureReason;
  /** Of the answer, if there was one. */
  status: number | null;
}
