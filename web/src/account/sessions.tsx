import { type LoginSession, type OwnUser, TidingsError } from 'tidings-client';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Confirmation } from '../chrome/confirmation.tsx';
import { useKeptFocus } from '../chrome/kept-focus.ts';
import { notify } from '../chrome/notices.tsx';
import { Pages } from '../chrome/pages.ts';
import { sentenceOf } from '../chrome/sentence.ts';
import { RelativeTime } from '../feed/relative-time.tsx';
import { Said } from '../languages/said.tsx';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';

/** Where the reader is logged in: any of these sessions can be ended, or all at once. */
export function Sessions({ me }: { me: OwnUser }) {
  const pages = useMemo(
    () =>
      new Pages<LoginSession>(async (cursor, signal) => {
        const { sessions: items, next } = await service.sessions.list({ cursor, signal });
        return { items, next };
      }),
    [],
  );
  useEffect(() => () => pages.close(), [pages]);
  const error = pages.error.value;
  const [asking, setAsking] = useState<LoginSession | 'all'>();
  // A new password has ended some of them.
  const before = useRef(me);
  useEffect(() => {
    if (before.current !== me) void pages.load();
    before.current = me;
  }, [me, pages]);
  const list = useKeptFocus<HTMLUListElement>();

  const [ending, setEnding] = useState<string>();
  const end = async (session: LoginSession) => {
    setEnding(session.id);
    try {
      await service.sessions.end(session.id).catch((error: unknown) => {
        // It has ended by itself, or somewhere else.
        if (!(error instanceof TidingsError) || error.code !== 'not_found') throw error;
      });
      pages.remove(({ id }) => id === session.id);
      notify(say('sessions.ended'));
    } catch (error) {
      notify(say('sessions.notEnded', { why: sentenceOf(error) }), 'failed');
      await pages.load();
    } finally {
      setEnding(undefined);
    }
  };
  const leave = () =>
    service
      .logOutEverywhere()
      .catch((error: unknown) => notify(say('sessions.stillIn', { why: sentenceOf(error) }), 'failed'));

  return (
    <section>
      <h2>{say('sessions.title')}</h2>
      <p class="muted">{say('sessions.what')}</p>
      <ul ref={list} class="sessions" aria-label={say('sessions.title')}>
        {pages.items.value.map((session) => (
          <li key={session.id}>
            <div>
              <strong>{nameOf(session)}</strong>
              <span class="muted">
                {session.current ? (
                  say('sessions.this')
                ) : (
                  <Said of="sessions.lastUse" time={<RelativeTime at={session.last_seen_at} />} />
                )}
              </span>
            </div>
            {!session.current && (
              <button
                type="button"
                class="plain"
                aria-label={say('sessions.endOf', { client: nameOf(session) })}
                aria-disabled={ending === session.id}
                onClick={() => ending === session.id || setAsking(session)}
              >
                {say('sessions.end')}
              </button>
            )}
          </li>
        ))}
      </ul>
      {error && <p role="alert">{say('sessions.unread', { why: sentenceOf(error) })}</p>}
      <div class="buttons">
        {pages.hasMore.value && (
          <button type="button" class="secondary" onClick={() => void pages.loadMore()}>
            {say('more')}
          </button>
        )}
        <button type="button" class="secondary" onClick={() => setAsking('all')}>
          {say('sessions.all')}
        </button>
      </div>
      {asking === 'all' && (
        <Confirmation
          question={say('sessions.allAsk')}
          detail={say('sessions.allWhat')}
          verb={say('sessions.allVerb')}
          refusal={say('sessions.stay')}
          onAnswer={(yes) => {
            setAsking(undefined);
            if (yes) void leave();
          }}
        />
      )}
      {asking !== undefined && asking !== 'all' && (
        <Confirmation
          question={say('sessions.oneAsk')}
          detail={say('sessions.oneWhat', { client: nameOf(asking) })}
          verb={say('sessions.oneVerb')}
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
  // The service names a browser and its system so.
  const [, browser, system] = /^(.+) on (.+)$/.exec(client ?? '') ?? [];
  if (browser !== undefined && system !== undefined) return say('sessions.browser', { browser, system });
  return client ?? say('sessions.unnamed');
}
