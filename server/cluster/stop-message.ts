/** What the primary says to a worker that shall end. */
export const STOP = 'tidings:stop';
