import { useEffect, useMemo } from 'preact/hooks';
import type { AuditEntry } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { EndOfPages } from '../chrome/end-of-pages.tsx';
import { Pages } from '../chrome/pages.ts';
import { RelativeTime } from '../feed/relative-time.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import { Said } from '../languages/said.tsx';
import { isKey, say } from '../languages/say.ts';
import { service } from '../service.ts';

const PAGE = 50;

/** The audit log. It is read again when a case is resolved. */
export function AuditLog() {
  const { feed } = useVisit();
  const pages = useMemo(
    () =>
      new Pages<AuditEntry>(async (cursor, signal) => {
        const { entries: items, next } = await service.moderation.log({ limit: PAGE, cursor, signal });
        return { items, next };
      }),
    [],
  );
  useEffect(() => () => pages.close(), [pages]);
  useEffect(() => feed.on('report:resolved', () => void pages.refresh(({ id }) => id)), [feed, pages]);
  const entries = pages.items.value;
  const error = pages.error.value;
  const loading = pages.loading.value;
  if (entries.length === 0 && loading) return <Skeleton />;
  return (
    <>
      {entries.length === 0 && !error && <p class="nothing">{say('moderation.noneDone')}</p>}
      <ul class="audit" aria-label={say('moderation.audit')}>
        {entries.map((entry) => (
          <Entry key={entry.id} of={entry} />
        ))}
      </ul>
      <EndOfPages
        store={pages}
        state={{ loading, error, hasMore: pages.hasMore.value, page: pages.page.value }}
      />
    </>
  );
}

function Entry({ of: { action, actor, user, at, reason, posts, complete, post_id } }: { of: AuditEntry }) {
  const nameOf = (who: AuditEntry['user']) => (
    <bdi>{who && who.username !== '' ? who.username : say('moderation.deletedAccount')}</bdi>
  );
  const who = { actor: actor ? nameOf(actor) : say('moderation.operator'), user: nameOf(user) };
  const key = `moderation.log.${action}`;
  return (
    <li>
      <p>
        {action === 'remove' && posts !== null ? (
          <Said of="moderation.log.removeAll" count={posts} {...who} />
        ) : isLogged(key) ? (
          <Said of={key} {...who} />
        ) : (
          <Said of="moderation.log.other" action={action} {...who} />
        )}
        {complete === false && say('moderation.log.unfinished')}
        {post_id !== null && (
          <span class="muted"> {say('moderation.log.post', { id: String(post_id) })}</span>
        )}{' '}
        <span class="muted">
          · <RelativeTime at={at} />
        </span>
      </p>
      {reason !== '' && (
        <p class="text muted" dir="auto">
          {reason}
        </p>
      )}
    </li>
  );
}

type Logged = `moderation.log.${AuditEntry['action']}`;

/** Whether there is a sentence for what was done: a newer service may do more. */
function isLogged(key: string): key is Logged {
  return isKey(key);
}
