import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Every metric of the service, by the question that it answers. One registry per context, so that tests do not share one. */
export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const counter = <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name: `tidings_${name}`, help, labelNames, registers: [registry] });
  // Of several workers' gauges the sum is told, or the worst.
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
      'How long requests take',
      [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      ['method', 'route', 'status'],
    ),
    loginsRefused: counter('logins_refused_total', 'Logins with an unknown user or a wrong password'),
    rateLimited: counter('rate_limited_total', 'Requests refused with 429', ['limit']),
    unreadable: counter(
      'requests_unreadable_total',
      'Requests that were refused before a route saw them, since they were no HTTP, too large or too slow',
      ['status'],
    ),
    requestsRefused: counter(
      'requests_refused_total',
      'Requests refused for the host that they name, or since a page of another origin sent them',
      ['reason'],
    ),
    answersAbandoned: counter(
      'answers_abandoned_total',
      'Answers that were given up with their connection, since nobody took them in time or their room was needed',
      ['reason'],
    ),
    handshakesRefused: counter('handshakes_refused_total', 'Socket handshakes refused', ['reason']),
    connections: gauge('connections', 'Sockets connected to this node'),
    subscribers: gauge(
      'subscribers',
      'Sockets, streams and requests for events that this node serves or is about to serve',
    ),
    answersUnderWay: gauge('answers_under_way', 'HTTP requests whose answer has not left as a whole'),
    placesTaken: gauge(
      'places_taken',
      'Places of MAX_CONNECTIONS that are taken by sockets, streams and waiting requests',
    ),
    placesRefused: counter(
      'places_refused_total',
      'Sockets, streams and waiting requests that got no place',
      ['reason'],
    ),
    tcpRefused: counter(
      'tcp_connections_refused_total',
      'TCP connections refused before a request: of an address that has its share, or beyond all that this node takes',
      ['reason'],
    ),
    eventsNumbered: counter('events_numbered_total', 'Events that this node numbered'),
    eventsDelivered: counter('events_delivered_total', 'Events handed to sockets of this node'),
    commitToSocket: histogram(
      'commit_to_socket_seconds',
      'From the writing of an event in its transaction to its hand-over to the sockets of this node',
      [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15],
    ),
    followerLag: gauge(
      'follower_lag_events',
      'Events that the log was ahead of this node at its last look',
      'max',
    ),
    followerAge: gauge('follower_read_age_seconds', 'Since this node last read the log', 'max'),
    outboxLength: gauge(
      'outbox_events',
      'Committed events that have no number yet, counted up to ten thousand',
      'max',
    ),
    outboxAge: gauge(
      'outbox_oldest_age_seconds',
      'Since the oldest event without a number was written',
      'max',
    ),
    writesRefused: gauge('writes_refused', '1 while this node sends no writes to the database', 'max'),
    fastPathsFailed: gauge(
      'fast_paths_failed',
      'Uses of library internals that were switched off, since the libraries are not as expected',
    ),
    resumes: counter('resumes_total', 'Handshakes by outcome', ['outcome', 'source']),
    sessionsClosed: counter('sessions_closed_total', 'Sockets closed by the service', ['code']),
    tallyFrames: counter('tally_frames_total', 'Tally messages sent to sockets'),
    talliesCoalesced: counter(
      'tallies_coalesced_total',
      'Tally changes that were overtaken within their window',
    ),
    busDropped: counter(
      'bus_messages_dropped_total',
      'Messages to other nodes not sent because Redis was away',
    ),
    redisDegraded: gauge('redis_degraded', '1 while Redis cannot do all of its work, else 0', 'max'),
    redisFaults: counter('redis_faults_total', 'Outages of Redis by reason', ['reason']),
    limitsUnshared: counter(
      'limits_unshared_total',
      'Requests that were counted without the other nodes, since Redis was away or too slow',
    ),
    queueWaiting: gauge(
      'queue_waiting_requests',
      'Requests that wait for their turn, by what they wait for',
      'sum',
      ['queue'],
    ),
    queueRefused: counter(
      'queue_refused_total',
      'Requests that were refused since too many waited, of all senders or of one',
      ['queue'],
    ),
    poolWaiting: gauge('pool_waiting_requests', 'Requests that wait for a database connection'),
    poolInUse: gauge('pool_connections_in_use', 'Database connections in use by requests'),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
