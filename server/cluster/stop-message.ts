/** What the primary says to a worker that shall end. */
export const STOP = 'tidings:stop';
/** The same, without the time that load balancers need to notice. */
export const STOP_AT_ONCE = 'tidings:stop-at-once';
