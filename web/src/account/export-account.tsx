import { useState } from 'preact/hooks';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';
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
      notify(say('export.done'));
    } catch (error) {
      notify(say('export.failed', { why: sentenceOf(error) }), 'failed');
    } finally {
      setBusy(false);
    }
  };

  return (
    <section>
      <h2>{say('export.title')}</h2>
      <p class="muted">{say('export.what')}</p>
      <div class="buttons">
        <button
          type="button"
          class="secondary"
          aria-disabled={busy}
          onClick={() => {
            if (!busy) void download();
          }}
        >
          {say(busy ? 'export.busy' : 'export.verb')}
        </button>
      </div>
    </section>
  );
}
