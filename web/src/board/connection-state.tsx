import { useEffect, useMemo, useState } from 'preact/hooks';
import type { FeedStatus } from 'tidings-client';
import { language } from '../chrome/language.ts';
import { debouncedStatus } from './debounced-status.ts';
import { useVisit } from './visit.ts';

const words: Record<FeedStatus['state'], string> = {
  connecting: 'Connecting',
  'catching-up': 'Catching up',
  live: 'Live',
  offline: 'Offline',
  ended: 'Ended',
};

const explained: Record<FeedStatus['state'], string> = {
  connecting: 'The connection is being made.',
  'catching-up': 'What you missed is on its way.',
  live: 'What others write shows up here by itself.',
  offline: 'The server cannot be reached. What you miss comes when it can.',
  ended: 'The session is over.',
};

const TOO_OLD = 'The service is newer than this page. Reload the page.';

/** The connection state. The indicator blinks with each event. */
export function ConnectionState() {
  const { timeline } = useVisit();
  const [debounced, end] = useMemo(() => debouncedStatus(timeline.status), [timeline]);
  useEffect(() => end, [end]);
  const status = debounced.value;
  const { state } = status;
  const isTooOld = status.state === 'ended' && status.reason === 'unsupported';
  return (
    <p class={`connection ${state}`} title={isTooOld ? TOO_OLD : explained[state]}>
      <span key={timeline.seq.value} class="light" aria-hidden="true" />
      <span class="connection-word">{words[state]}</span>
      {status.state === 'offline' && (
        <>
          <Countdown key={status.retryAt} until={status.retryAt} />
          <button type="button" class="link" onClick={() => timeline.store.reconnect()}>
            Try now
          </button>
        </>
      )}
      {state === 'live' && timeline.seq.value > 0 && (
        <span class="position" title="Events so far: the same number, in the same order, for everyone">
          {timeline.seq.value.toLocaleString(language)} {timeline.seq.value === 1 ? 'event' : 'events'}
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
  return <span class="position">{left > 0 ? `trying again in ${left} s` : 'trying again'}</span>;
}

function secondsTo(time: number): number {
  return Math.max(0, Math.ceil((time - Date.now()) / 1000));
}
