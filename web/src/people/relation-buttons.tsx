import { useRef, useState } from 'preact/hooks';
import { type PublicUser, TidingsError } from 'tidings-client';
import { announce } from '../chrome/announcer.tsx';
import { Confirmation } from '../chrome/confirmation.tsx';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';
import { ReportButton } from '../moderation/report-button.tsx';
import { service } from '../service.ts';

interface RelationButtonsProps {
  user: PublicUser;
  /** Something has changed between the reader and the user. */
  onChange: () => Promise<void>;
}

type Deed = 'follow' | 'unfollow' | 'block' | 'unblock' | 'mute' | 'unmute';

/** What the reader can be to another user: a follower, or one who does not want to hear of them. */
export function RelationButtons({ user, onChange }: RelationButtonsProps) {
  const { id, username, followed = false, blocked = false, muted = false } = user;
  const [busy, setBusy] = useState(false);
  const [asking, setAsking] = useState(false);
  const takeBack = useRef<() => void>(() => undefined);

  const run = async (deed: Deed) => {
    if (busy) return;
    setBusy(true);
    try {
      await service.users[deed](id);
      await onChange();
      const done = say(`people.done.${deed}`, { name: username });
      // What was said before of the same user is true no more.
      takeBack.current();
      // The button tells of a follow by itself; what the others do is seen elsewhere.
      if (deed === 'follow' || deed === 'unfollow') announce(done);
      else takeBack.current = notify(done);
    } catch (error) {
      notify(
        error instanceof TidingsError && error.code === 'forbidden'
          ? say(`people.cannot.${deed}`, { name: username })
          : sentenceOf(error, { conflict: 'people.tooMany' }),
        'failed',
      );
    } finally {
      setBusy(false);
    }
  };
  // By its key a button stays the same one when it turns into its opposite, and keeps the focus.
  const button = (deed: Deed, look: string, key: string) => (
    <button key={key} type="button" class={look} aria-disabled={busy} onClick={() => void run(deed)}>
      {say(`people.${deed}`)}
    </button>
  );

  return (
    <div class="relations">
      {!blocked &&
        (followed ? button('unfollow', 'secondary', 'follow') : button('follow', 'primary', 'follow'))}
      {muted ? button('unmute', 'secondary', 'mute') : !blocked && button('mute', 'plain', 'mute')}
      {blocked ? (
        button('unblock', 'primary', 'block')
      ) : (
        <button
          key="block"
          type="button"
          class="plain delete"
          aria-disabled={busy}
          onClick={() => setAsking(true)}
        >
          {say('people.block')}
        </button>
      )}
      <ReportButton what={username} send={(report) => service.users.report(id, report)} />
      {asking && (
        <Confirmation
          question={say('people.blockAsk', { name: username })}
          detail={say('people.blockWhat', { name: username })}
          verb={say('people.block')}
          refusal={say('leave')}
          onAnswer={(yes) => {
            setAsking(false);
            if (yes) void run('block');
          }}
        />
      )}
    </div>
  );
}
