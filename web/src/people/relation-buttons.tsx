import { useState } from 'preact/hooks';
import { type PublicUser, TidingsError } from 'tidings-client';
import { announce } from '../chrome/announcer.tsx';
import { Confirmation } from '../chrome/confirmation.tsx';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { ReportButton } from '../moderation/report-button.tsx';
import { service } from '../service.ts';

interface RelationButtonsProps {
  user: PublicUser;
  /** Something has changed between the reader and the user. */
  onChange: () => Promise<void>;
}

type Deed = 'follow' | 'unfollow' | 'block' | 'unblock' | 'mute' | 'unmute';

const done: Record<Deed, (name: string) => string> = {
  follow: (name) => `You follow ${name}.`,
  unfollow: (name) => `You no longer follow ${name}.`,
  block: (name) => `${name} is blocked.`,
  unblock: (name) => `${name} is no longer blocked.`,
  mute: (name) => `${name} is muted.`,
  unmute: (name) => `${name} is no longer muted.`,
};

/** What the reader can be to another user: a follower, or one who does not want to hear of them. */
export function RelationButtons({ user, onChange }: RelationButtonsProps) {
  const { id, username, followed = false, blocked = false, muted = false } = user;
  const [busy, setBusy] = useState(false);
  const [asking, setAsking] = useState(false);

  const run = async (deed: Deed) => {
    if (busy) return;
    setBusy(true);
    try {
      await service.users[deed](id);
      await onChange();
      announce(done[deed](username));
    } catch (error) {
      notify(
        error instanceof TidingsError && error.code === 'forbidden'
          ? `You cannot ${deed} ${username}.`
          : sentenceOf(error),
        'failed',
      );
    } finally {
      setBusy(false);
    }
  };
  const button = (deed: Deed, label: string, look: string) => (
    <button type="button" class={look} aria-disabled={busy} onClick={() => void run(deed)}>
      {label}
    </button>
  );

  return (
    <div class="relations">
      {blocked
        ? button('unblock', 'Unblock', 'primary')
        : followed
          ? button('unfollow', 'Unfollow', 'secondary')
          : button('follow', 'Follow', 'primary')}
      {muted ? button('unmute', 'Unmute', 'secondary') : !blocked && button('mute', 'Mute', 'plain')}
      {!blocked && (
        <button type="button" class="plain delete" aria-disabled={busy} onClick={() => setAsking(true)}>
          Block
        </button>
      )}
      <ReportButton what={username} send={(report) => service.users.report(id, report)} />
      {asking && (
        <Confirmation
          question={`Block ${username}?`}
          detail={`You see nothing of each other, and neither can reply to, mention or follow the other, or vote for their posts. If you follow each other, that ends. ${username} is not told.`}
          verb="Block"
          refusal="Leave it"
          onAnswer={(yes) => {
            setAsking(false);
            if (yes) void run('block');
          }}
        />
      )}
    </div>
  );
}
