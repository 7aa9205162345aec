import { useEffect, useRef, useState } from 'preact/hooks';
import type { Report } from 'tidings-client';
import { Field } from '../chrome/field.tsx';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';
import { reasons, wordsOf } from './reasons.ts';

interface ReportButtonProps {
  /** What is reported, as a sentence names it. */
  what: string;
  /** @throws {TidingsError} */
  send: (report: Report) => Promise<void>;
}

/** Reports a post or a user to the moderators, with a reason and, if wanted, a note. */
export function ReportButton({ what, send }: ReportButtonProps) {
  const [asking, setAsking] = useState(false);
  return (
    <>
      <button type="button" class="plain" onClick={() => setAsking(true)}>
        {say('report.verb')}
      </button>
      {asking && <ReportForm what={what} send={send} onDone={() => setAsking(false)} />}
    </>
  );
}

function ReportForm({ what, send, onDone }: ReportButtonProps & { onDone: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string>();
  useEffect(() => dialog.current?.showModal(), []);
  const submit = async (data: FormData) => {
    setBusy(true);
    setFault(undefined);
    try {
      const note = data.get('note');
      await send({
        reason: data.get('reason') as Report['reason'],
        ...(typeof note === 'string' && note.trim() !== '' && { note }),
      });
      notify(say('report.thanks'));
      dialog.current?.close();
    } catch (error) {
      if (dialog.current) setFault(sentenceOf(error));
      else notify(`${say('report.title', { what })}: ${sentenceOf(error)}`, 'failed');
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} class="sheet" aria-label={say('report.title', { what })} onClose={onDone}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy) void submit(new FormData(event.currentTarget));
        }}
      >
        <h2>{say('report.title', { what })}</h2>
        <p class="muted">{say('report.private')}</p>
        <Field label={say('report.reason')}>
          {(links) => (
            <select {...links} name="reason">
              {reasons.map((reason) => (
                <option key={reason} value={reason}>
                  {wordsOf(reason)}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label={say('report.note')} hint={say('report.noteHint')}>
          {(links) => <textarea {...links} name="note" rows={3} maxLength={1000} />}
        </Field>
        {fault !== undefined && (
          <p class="fault" role="alert">
            {fault}
          </p>
        )}
        <div class="buttons">
          <button type="button" class="secondary" onClick={() => dialog.current?.close()}>
            {say('cancel')}
          </button>
          <button type="submit" class="primary" aria-disabled={busy}>
            {say('report.send')}
          </button>
        </div>
      </form>
    </dialog>
  );
}
