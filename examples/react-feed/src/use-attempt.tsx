import { type SubmitEvent, useState } from 'react';
import { TidingsError } from 'tidings-client';

/** For what a user asks of the service: whether it is on its way, and why it failed. */
export function useAttempt() {
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);

  async function attempt(ask: () => Promise<unknown>) {
    setBusy(true);
    setProblem('');
    try {
      await ask();
    } catch (error) {
      if (!(error instanceof TidingsError)) throw error;
      setProblem(Object.values(error.fields)[0] ?? error.message);
    } finally {
      setBusy(false);
    }
  }

  /** For `onSubmit`: the form is emptied when that has worked. React empties one with an `action` also if it has failed. */
  function submit(send: (typed: FormData) => Promise<unknown>) {
    return (event: SubmitEvent<HTMLFormElement>) => {
      event.preventDefault();
      const form = event.currentTarget;
      const typed = new FormData(form, event.nativeEvent.submitter);
      void attempt(async () => {
        await send(typed);
        form.reset();
      });
    };
  }

  return { attempt, submit, busy, problem: problem && <p role="alert">{problem}</p> };
}
