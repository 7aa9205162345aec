import { useState } from 'preact/hooks';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { service } from '../service.ts';

/** How long the browser may take to begin to save the file. Milliseconds. */
const SAVING = 60_000;

/** Downloads all that one has written and set. A link could not: the token is in a header. */
export function ExportAccount() {
  const [busy, setBusy] = useState(false);

  const download = async () => {
    setBusy(true);
    try {
      const { name, content } = await service.export();
      const link = document.createElement('a');
      link.href = URL.createObjectURL(content);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), SAVING);
      notify('Your data is downloaded.');
    } catch (error) {
      notify(`Your data is not downloaded. ${sentenceOf(error)}`, 'failed');
    } finally {
      setBusy(false);
    }
  };

  return (
    <section>
      <h2>Your data</h2>
      <p class="muted">
        Everything that you have written and set, in one file: posts, drafts, replies, votes, whom you follow,
        block and mute, notifications and sessions. Ten times a day at most.
      </p>
      <div class="buttons">
        <button
          type="button"
          class="secondary"
          aria-disabled={busy}
          onClick={() => {
            if (!busy) void download();
          }}
        >
          {busy ? 'Downloading …' : 'Download my data'}
        </button>
      </div>
    </section>
  );
}
