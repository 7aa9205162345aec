import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** All metrics of the service. One registry per context, so that tests do not share one. */
export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const counter = <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name: `tidings_${name}`, help, labelNames, registers: [registry] });
  // Gauges of several workers are summed, or the maximum is taken.
  const gauge = <L extends string = never>(
    name: string,
    help: string,
    aggregator: 'sum' | 'max' = 'sum',
    labelNames: readonly L[] = [],
  ) => new Gauge<L>({ name: `tidings_${name}`, help, aggregator, labelNames, registers: [registry] });
  const histogram = <L extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: readonly L[] = [],
  ) => new Histogram<L>({ name: `tidings_${name}`, help, buckets, labelNames, registers: [registry] });

  return {
    registry,
    requests: histogram(
      'http_request_seconds',
      'Duration of HTTP requests in seconds',
      [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      ['method', 'route', 'status'],
    ),
    loginsRefused: counter('logins_refused_total', 'Logins with an unknown user or a wrong password'),
    oidcLogins: counter(
      'oidc_logins_total',
      'Logins with the OpenID provider that were finished, by outcome',
      ['outcome'],
    ),
    rateLimited: counter('rate_limited_total', 'Requests refused with 429', ['limit']),
    unreadable: counter(
      'requests_malformed_total',
      'Requests refused before routing: not valid HTTP, too large or too slow',
      ['status'],
    ),
    requestsRefused: counter('requests_refused_total', 'Requests refused because of their Host or Origin', [
      'reason',
    ]),
    responsesAbandoned: counter(
      'http_responses_abandoned_total',
      'Responses abandoned with their connection: slow consumer, or their memory was needed',
      ['reason'],
    ),
    handshakesRefused: counter('handshakes_refused_total', 'Socket handshakes refused', ['reason']),
    connections: gauge('connections', 'Sockets connected to this node'),
    subscribers: gauge(
      'subscribers',
      'Sockets, event streams and long-polls that this node serves or is opening',
    ),
    filteredSubscribers: gauge('filtered_subscribers', 'Subscribers with topics that are up to date'),
    relationsUsers: gauge('relations_users', 'Users whose follows, blocks and mutes this node has in memory'),
    responsesInProgress: gauge(
      'http_responses_in_progress',
      'HTTP responses that are not yet sent completely',
    ),
    connectionSlotsUsed: gauge(
      'connection_slots_used',
      'Connections that count against MAX_CONNECTIONS: sockets, event streams and long-polls',
    ),
    connectionsRefused: counter(
      'connection_limit_refused_total',
      'Sockets, event streams and long-polls refused by a connection limit',
      ['reason'],
    ),
    tcpRefused: counter(
      'tcp_connections_refused_total',
      'TCP connections refused before a request, by the limit per address or per process',
      ['reason'],
    ),
    eventsNumbered: counter('events_numbered_total', 'Events that this node numbered'),
    eventsDelivered: counter('events_delivered_total', 'Events handed to sockets of this node'),
    commitToSocket: histogram(
      'commit_to_socket_seconds',
      'Seconds from the write of an event to its delivery to the sockets of this node',
      [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15],
    ),
    followerLag: gauge(
      'follower_lag_events',
      'Events by which this node was behind the log at its last poll',
      'max',
    ),
    followerAge: gauge('follower_read_age_seconds', 'Seconds since this node last read the log', 'max'),
    outboxLength: gauge(
      'outbox_events',
      'Committed events that have no number yet, counted up to ten thousand',
      'max',
    ),
    outboxAge: gauge(
      'outbox_oldest_age_seconds',
      'Age of the oldest event without a number, in seconds',
      'max',
    ),
    writesRefused: gauge(
      'writes_refused',
      '1 while requests cannot write because of the database: it cannot commit, or a right or a lock is in the way; else 0',
      'max',
    ),
    reads: counter(
      'replica_reads_total',
      'Answers with DATABASE_REPLICA_URL that were read from a replica, and from the primary since no replica was up to date or one failed',
      ['server'],
    ),
    replicaUsed: gauge('replica_used', '1 while this node may read from the replica, else 0', 'max', [
      'replica',
    ]),
    replicaBehind: gauge(
      'replica_behind_bytes',
      'Bytes of the write-ahead log that the replica had still to replay at its last look',
      'max',
      ['replica'],
    ),
    fastPathsFailed: gauge(
      'fast_paths_failed',
      'Fast paths that failed their self-check and are switched off',
    ),
    resumes: counter('resumes_total', 'Handshakes by outcome of the resume', ['outcome', 'source']),
    sessionsClosed: counter('sessions_closed_total', 'Sockets closed by the service', ['code']),
    tallyFrames: counter('tally_frames_total', 'Tally messages sent to sockets'),
    talliesCoalesced: counter(
      'tallies_coalesced_total',
      'Tally changes coalesced with a later one of the same post',
    ),
    voteNoticesSettled: counter(
      'vote_notices_settled_total',
      'Posts of which this node brought the notification of votes up to date',
    ),
    mails: counter(
      'mails_total',
      'Mails that this node handed over, that were refused, and tries that failed',
      ['outcome'],
    ),
    webhookDeliveries: counter(
      'webhook_deliveries_total',
      'Messages that receivers of webhooks took from this node, attempts that failed, and webhooks that were paused for it',
      ['outcome'],
    ),
    webhooksHeld: gauge('webhooks_held', 'Webhooks that this node works'),
    moderationActions: counter(
      'moderation_actions_total',
      'Actions of moderators that this node took, by kind; the operator takes none',
      ['action'],
    ),
    moderationCases: gauge(
      'moderation_open_cases',
      'Reported posts and users that wait for a moderator, counted up to ten thousand',
      'max',
    ),
    moderationCaseAge: gauge(
      'moderation_oldest_case_age_seconds',
      'Age of the oldest case that waits for a moderator, in seconds',
      'max',
    ),
    exports: counter('exports_total', 'Exports of accounts that this node began, by how they ended', [
      'outcome',
    ]),
    busDropped: counter(
      'bus_messages_dropped_total',
      'Messages to other nodes dropped because Redis was unavailable',
    ),
    redisDegraded: gauge('redis_degraded', '1 while Redis is degraded or unavailable, else 0', 'max'),
    redisFaults: counter('redis_faults_total', 'Outages of Redis by reason', ['reason']),
    rateLimitsLocal: counter(
      'rate_limits_local_total',
      'Rate limit checks that were counted locally because Redis was unavailable or slow',
    ),
    queueWaiting: gauge('queue_waiting_requests', 'Requests waiting in the fair queues', 'sum', ['queue']),
    queueRefused: counter(
      'queue_refused_total',
      'Requests refused because a fair queue was full, in all or for one sender',
      ['queue'],
    ),
    poolWaiting: gauge('pool_waiting_requests', 'Requests waiting for a database connection'),
    poolInUse: gauge('pool_connections_in_use', 'Database connections in use by requests'),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
