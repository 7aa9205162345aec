import { useEffect, useMemo, useState } from 'preact/hooks';
import { throttled } from '../chrome/throttled.ts';
import { say } from '../languages/say.ts';
import { debouncedStatus } from './debounced-status.ts';
import { useVisit } from './visit.ts';

/** The light blinks, and the number is another, at most once in so long. Milliseconds. */
const BLINK = 2000;

/** The connection state. The light blinks with events. */
export function ConnectionState() {
  const { timeline } = useVisit();
  const [debounced, end] = useMemo(() => debouncedStatus(timeline.status), [timeline]);
  const [seq, endSeq] = useMemo(() => throttled(timeline.seq, BLINK), [timeline]);
  useEffect(() => end, [end]);
  useEffect(() => endSeq, [endSeq]);
  const status = debounced.value;
  const { state } = status;
  const isTooOld = status.state === 'ended' && status.reason === 'unsupported';
  return (
    <p
      class={`connection ${state}`}
      title={isTooOld ? say('connection.tooOld') : say(`connection.explained.${state}`)}
    >
      <span key={seq.value} class="light" aria-hidden="true" />
      <span class="connection-word">{say(`connection.${state}`)}</span>
      {status.state === 'offline' && (
        <>
          <Countdown key={status.retryAt} until={status.retryAt} />
          <button type="button" class="link" onClick={() => timeline.store.reconnect()}>
            {say('connection.now')}
          </button>
        </>
      )}
      {state === 'live' && seq.value > 0 && (
        <span class="position" title={say('connection.eventsHint')}>
          {say('connection.events', { count: seq.value })}
        </span>
      )}
    </p>
  );
}

/** Seconds until the next attempt. */
function Countdown({ until }: { until: number }) {
  const [left, setLeft] = useState(() => secondsTo(until));
  useEffect(() => {
    const timer = setInterval(() => setLeft(secondsTo(until)), 500);
    return () => clearInterval(timer);
  }, [until]);
  return (
    <span class="position">
      {left > 0 ? say('connection.in', { seconds: left }) : say('connection.trying')}
    </span>
  );
}

function secondsTo(time: number): number {
  return Math.max(0, Math.ceil((time - Date.now()) / 1000));
}
