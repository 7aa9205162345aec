import type { LoginSession } from 'tidings-client';
import { useEffect, useState } from 'preact/hooks';
import { Confirmation } from '../chrome/confirmation.tsx';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { RelativeTime } from '../feed/relative-time.tsx';
import { service } from '../service.ts';

/** Where the reader is logged in: any of these sessions can be ended, or all at once. */
export function Sessions() {
  const [sessions, setSessions] = useState<LoginSession[]>([]);
  const [next, setNext] = useState<string>();
  const [trouble, setTrouble] = useState<string>();
  const [asking, setAsking] = useState<LoginSession | 'all'>();

  const load = async (cursor?: string) => {
    try {
      const page = await service.sessions.list({ cursor });
      setSessions((before) => (cursor === undefined ? page.sessions : [...before, ...page.sessions]));
      setNext(page.next);
      setTrouble(undefined);
    } catch (error) {
      setTrouble(`Your sessions could not be loaded. ${sentenceOf(error)}`);
    }
  };
  useEffect(() => void load(), []);

  const end = async (session: LoginSession) => {
    try {
      await service.sessions.end(session.id);
      setSessions((before) => before.filter(({ id }) => id !== session.id));
      notify('That session has ended.');
    } catch (error) {
      notify(`That session has not ended. ${sentenceOf(error)}`, 'failed');
      await load();
    }
  };
  const leave = () =>
    service
      .logOutEverywhere()
      .catch((error: unknown) => notify(`You are still logged in. ${sentenceOf(error)}`, 'failed'));

  return (
    <section>
      <h2>Sessions</h2>
      <p class="muted">
        Where you are logged in. Lost a telephone, or left a window open somewhere? End it here.
      </p>
      <ul class="sessions" aria-label="Sessions">
        {sessions.map((session) => (
          <li key={session.id}>
            <div>
              <strong>{nameOf(session)}</strong>
              <span class="muted">
                {session.current ? (
                  'This session'
                ) : (
                  <>
                    Last use: <RelativeTime at={session.last_seen_at} />
                  </>
                )}
              </span>
            </div>
            {!session.current && (
              <button
                type="button"
                class="plain"
                aria-label={`End the session of ${nameOf(session)}`}
                onClick={() => setAsking(session)}
              >
                End
              </button>
            )}
          </li>
        ))}
      </ul>
      {trouble !== undefined && <p role="alert">{trouble}</p>}
      <div class="buttons">
        {next !== undefined && (
          <button type="button" class="secondary" onClick={() => void load(next)}>
            Show more
          </button>
        )}
        <button type="button" class="secondary" onClick={() => setAsking('all')}>
          Log out everywhere
        </button>
      </div>
      {asking === 'all' && (
        <Confirmation
          question="Log out everywhere?"
          detail="On all your devices, here too, within a second."
          verb="Log out"
          refusal="Stay"
          onAnswer={(yes) => {
            setAsking(undefined);
            if (yes) void leave();
          }}
        />
      )}
      {asking !== undefined && asking !== 'all' && (
        <Confirmation
          question="End this session?"
          detail={`${nameOf(asking)} is logged out within a second.`}
          verb="End it"
          onAnswer={(yes) => {
            setAsking(undefined);
            if (yes) void end(asking);
          }}
        />
      )}
    </section>
  );
}

function nameOf({ client }: LoginSession): string {
  return client ?? 'An unnamed client';
}
