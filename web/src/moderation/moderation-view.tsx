import { useRef } from 'preact/hooks';
import { createCaseStore, type ModerationCase, type OwnUser } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { EndOfPages } from '../chrome/end-of-pages.tsx';
import { useHeldEntries } from '../chrome/held-entries.ts';
import { useKeptFocus } from '../chrome/kept-focus.ts';
import { useStore } from '../chrome/use-store.ts';
import { RelativeTime } from '../feed/relative-time.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import { Said } from '../languages/said.tsx';
import { isKey, say } from '../languages/say.ts';
import { PlaceLink } from '../places/place-link.tsx';
import type { ModerationList } from '../places/place.ts';
import { service } from '../service.ts';
import { ActionForm } from './action-form.tsx';
import { AuditLog } from './audit-log.tsx';
import { wordsOf } from './reasons.ts';

const PAGE = 20;

/** For moderators: what was reported, live, with what can be done about it; and what was done. */
export function ModerationView({ list, me }: { list: ModerationList; me: OwnUser }) {
  if (me.role === 'user')
    return (
      <section>
        <h1 class="place-title" tabIndex={-1}>
          {say('place.moderation')}
        </h1>
        <p class="muted">{say('moderation.only')}</p>
      </section>
    );
  return (
    <section aria-labelledby="moderation-title">
      <h1 id="moderation-title" class="place-title" tabIndex={-1}>
        {say('place.moderation')}
      </h1>
      <nav class="orders" aria-label={say('lists')}>
        <ul>
          {(['open', 'resolved', 'audit'] as const).map((one) => (
            <li key={one}>
              <PlaceLink to={{ name: 'moderation', list: one }}>{say(`moderation.${one}`)}</PlaceLink>
            </li>
          ))}
        </ul>
      </nav>
      {list === 'audit' ? <AuditLog /> : <Cases key={list} list={list} />}
    </section>
  );
}

function Cases({ list }: { list: Exclude<ModerationList, 'audit'> }) {
  const { feed } = useVisit();
  const { store, state } = useStore(
    () => createCaseStore(service, { state: list, limit: PAGE, feed }),
    [list, feed],
  );
  const { cases, loading, error } = state;
  const rows = useKeptFocus<HTMLUListElement>();
  /** Cases that nothing is written about any more. */
  const done = useRef(new Set<number>());
  const { shown, drawAgain } = useHeldEntries(
    cases,
    ({ id }) => id,
    ({ id }) => !done.current.has(id) && isWritten(rows.current?.querySelector(`#form-${id}`)),
  );
  return (
    <>
      {cases.length === 0 && loading && <Skeleton />}
      {cases.length === 0 && !loading && !error && (
        <p class="nothing">{say(list === 'open' ? 'moderation.noneOpen' : 'moderation.noneResolved')}</p>
      )}
      <ul ref={rows} class="cases" aria-label={say(`moderation.${list}`)}>
        {shown.map(({ entry: one, gone }) => (
          <li key={one.id}>
            <Case
              of={one}
              gone={gone}
              onDone={() => {
                done.current.add(one.id);
                drawAgain();
              }}
            />
          </li>
        ))}
      </ul>
      <EndOfPages store={store} state={state} />
    </>
  );
}

/** Whether a form has the focus, or a reason in it. */
function isWritten(form: Element | null | undefined): boolean {
  if (!form) return false;
  return form.matches(':focus-within') || form.querySelector('input')?.value.trim() !== '';
}

interface CaseProps {
  of: ModerationCase;
  gone: boolean;
  onDone: () => void;
}

function Case({ of: one, gone, onDone }: CaseProps) {
  const { id, user, post_id, post, reports, count, opened_at, resolved_at, resolution } = one;
  const more = count - reports.length;
  return (
    <article aria-labelledby={`case-${id}`}>
      <h2 id={`case-${id}`}>
        {user.username === '' ? (
          say(post_id === null ? 'moderation.userDeleted' : 'moderation.postByDeleted')
        ) : (
          <Said
            of={
              post_id === null
                ? 'moderation.user'
                : post?.title === null
                  ? 'thread.replyBy'
                  : 'moderation.postBy'
            }
            name={
              <PlaceLink to={{ name: 'author', username: user.username, id: user.id }} current={false}>
                <bdi>{user.username}</bdi>
              </PlaceLink>
            }
          />
        )}
      </h2>
      <p class="muted">
        <Said of="moderation.reported" time={<RelativeTime at={opened_at} />} />
        {post_id !== null && post && !post.removed && (
          <>
            {' · '}
            <PlaceLink to={{ name: 'post', id: post_id }} current={false}>
              {say('moderation.post')}
            </PlaceLink>
          </>
        )}
        {resolved_at !== null && (
          <>
            {' · '}
            {resolution === 'dismiss' ? (
              <Said of="moderation.dismissed" time={<RelativeTime at={resolved_at} />} />
            ) : (
              <Said
                of="moderation.resolvedBy"
                action={resolutionOf(one)}
                time={<RelativeTime at={resolved_at} />}
              />
            )}
          </>
        )}
      </p>
      {post && (
        <blockquote class={post.removed ? 'removed' : undefined}>
          {post.removed && <p class="muted">{say('moderation.removed')}</p>}
          {post.title !== null && (
            <p class="title" dir="auto">
              {post.title}
            </p>
          )}
          <p class="text" dir="auto">
            {post.content}
          </p>
        </blockquote>
      )}
      {post_id !== null && !post && <p class="muted">{say('moderation.gone')}</p>}
      <ul class="reports" aria-label={say('moderation.reports')}>
        {reports.map(({ reporter, reason, note, at }) => (
          <li key={reporter.id}>
            <strong>{wordsOf(reason)}</strong> · <bdi>{reporter.username}</bdi> · <RelativeTime at={at} />
            {note !== '' && (
              <p class="text" dir="auto">
                {note}
              </p>
            )}
          </li>
        ))}
        {more > 0 && <li class="muted">{say('moderation.moreReports', { count: more })}</li>}
      </ul>
      <ActionForm of={one} gone={gone} onDone={onDone} />
    </article>
  );
}

/** The action with which a case was resolved, which a newer service may have more of. */
function resolutionOf({ resolution, post_id }: ModerationCase): string {
  if (resolution === 'remove' && post_id === null) return say('moderation.resolution.removeAll');
  const key = `moderation.resolution.${resolution ?? ''}`;
  return isKey(key) ? say(key as 'moderation.resolution.warn') : (resolution ?? '');
}
