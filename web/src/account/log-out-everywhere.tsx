import { useState } from 'preact/hooks';
import { Confirmation } from '../chrome/confirmation.tsx';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { service } from '../service.ts';

/** Ends every session of the reader, this one too. */
export function LogOutEverywhere() {
  const [asking, setAsking] = useState(false);
  const leave = () =>
    service
      .logOutEverywhere()
      .catch((error: unknown) => notify(`You are still logged in. ${sentenceOf(error)}`, 'failed'));
  return (
    <section>
      <h2>Sessions</h2>
      <p class="muted">Lost a telephone, or left a window open somewhere? End every session at once.</p>
      <div class="buttons">
        <button type="button" class="secondary" onClick={() => setAsking(true)}>
          Log out everywhere
        </button>
      </div>
      {asking && (
        <Confirmation
          question="Log out everywhere?"
          detail="On all your devices, here too, within a second."
          verb="Log out"
          refusal="Stay"
          onAnswer={(yes) => {
            setAsking(false);
            if (yes) void leave();
          }}
        />
      )}
    </section>
  );
}
