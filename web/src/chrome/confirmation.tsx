import { useEffect, useRef } from 'preact/hooks';
import { say } from '../languages/say.ts';

interface ConfirmationProps {
  question: string;
  detail: string;
  /** What the button says that does it. */
  verb: string;
  /** What the button says that leaves all as it is. */
  refusal?: string;
  onAnswer: (yes: boolean) => void;
}

/** Asks before something that cannot be undone. It takes the focus, and gives it back to where it was. */
export function Confirmation({ question, detail, verb, refusal = say('keep'), onAnswer }: ConfirmationProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      class="sheet"
      role="alertdialog"
      aria-label={question}
      onClose={(event) => onAnswer(event.currentTarget.returnValue === 'yes')}
    >
      <form method="dialog">
        <h2>{question}</h2>
        <p class="muted">{detail}</p>
        <div class="buttons">
          <button type="submit" value="no" class="secondary">
            {refusal}
          </button>
          <button type="submit" value="yes" class="danger">
            {verb}
          </button>
        </div>
      </form>
    </dialog>
  );
}
