import { useEffect, useState } from 'preact/hooks';
import type { AuditEntry } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { sentenceOf } from '../chrome/sentence.ts';
import { Trouble } from '../chrome/trouble.tsx';
import { RelativeTime } from '../feed/relative-time.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import { service } from '../service.ts';

const PAGE = 50;

const verbs: Record<string, string> = {
  remove: 'removed a post of',
  restore: 'brought back a post of',
  lock: 'ended the replies to a post of',
  unlock: 'allowed replies to a post of',
  warn: 'warned',
  suspend: 'suspended',
  unsuspend: 'ended the suspension of',
  dismiss: 'needed no action about',
  grant: 'gave another role to',
  reset_link: 'made a link to a new password for',
};

interface Listed {
  entries: AuditEntry[];
  next: string | undefined;
}

/** The audit log. It is read again when a case is resolved. */
export function AuditLog() {
  const { feed } = useVisit();
  const [listed, setListed] = useState<Listed>();
  const [fault, setFault] = useState<string>();
  const read = async (cursor?: string) => {
    try {
      const page = await service.moderation.log({ limit: PAGE, cursor });
      setFault(undefined);
      setListed((before) => ({
        entries: cursor === undefined ? page.entries : [...(before?.entries ?? []), ...page.entries],
        next: page.next,
      }));
    } catch (error) {
      setFault(sentenceOf(error));
    }
  };
  useEffect(() => {
    void read();
    return feed.on('report:resolved', () => void read());
  }, [feed]);
  if (fault !== undefined) return <Trouble again={() => void read()}>{fault}</Trouble>;
  if (!listed) return <Skeleton />;
  const { entries, next } = listed;
  return (
    <>
      {entries.length === 0 && <p class="nothing">Nothing was done yet.</p>}
      <ul class="audit" aria-label="Log">
        {entries.map((entry) => (
          <Entry key={entry.id} of={entry} />
        ))}
      </ul>
      {next !== undefined && (
        <div class="end">
          <button type="button" class="secondary" onClick={() => void read(next)}>
            Show more
          </button>
        </div>
      )}
    </>
  );
}

function Entry({ of: { action, actor, user, at, reason, posts, complete, post_id } }: { of: AuditEntry }) {
  const nameOf = (who: AuditEntry['user']) =>
    who && who.username !== '' ? who.username : 'a deleted account';
  const verb =
    action === 'remove' && posts !== null ? `removed ${posts} posts of` : (verbs[action] ?? action);
  return (
    <li>
      <p>
        {actor ? <bdi>{nameOf(actor)}</bdi> : 'The operator'} {verb} <bdi>{nameOf(user)}</bdi>
        {complete === false && ', with more to follow'}
        {post_id !== null && <span class="muted"> (post {post_id})</span>}{' '}
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
