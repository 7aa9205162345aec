import { useState } from 'preact/hooks';
import type { ModerationAction, ModerationCase } from 'tidings-client';
import { Field } from '../chrome/field.tsx';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import type { Key } from '../languages/messages.ts';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';

const DAY = 86_400_000;

/** What can be chosen. */
type Choice = Key extends infer K ? (K extends `moderation.choice.${infer Name}` ? Name : never) : never;

const ofUser: Choice[] = ['warn', 'suspend-1', 'suspend-7', 'suspend-30', 'suspend', 'remove-all'];

function choicesFor({ user, post_id, post, resolved_at, resolution }: ModerationCase): Choice[] {
  const end: Choice[] = resolved_at === null ? ['dismiss'] : ['unsuspend'];
  if (user.username === '') return resolved_at === null ? ['dismiss'] : [];
  if (post_id === null || !post) return [...ofUser, ...end];
  if (post.removed) return ['restore', ...ofUser, ...end];
  // There is a title of the first post of a thread alone, and only that can be locked.
  const lock: Choice[] = post.title === null ? [] : [resolution === 'lock' ? 'unlock' : 'lock'];
  return ['remove', ...lock, ...ofUser, ...end];
}

function actionOf(choice: Choice, { user: { id: user_id }, post_id }: ModerationCase, reason: string) {
  const [, days] = /^suspend-(\d+)$/.exec(choice) ?? [];
  const until = days === undefined ? {} : { until: new Date(Date.now() + Number(days) * DAY).toISOString() };
  let action: ModerationAction;
  if (choice === 'remove-all') action = { action: 'remove', user_id, posts: 'all', reason };
  else if (choice === 'unsuspend') action = { action: choice, user_id, reason };
  else if (choice === 'suspend' || days !== undefined)
    action = { action: 'suspend', user_id, reason, ...until };
  else {
    const plain = choice as 'remove' | 'restore' | 'lock' | 'unlock' | 'warn' | 'dismiss';
    action =
      post_id === null
        ? { action: plain as 'warn' | 'dismiss', user_id, reason }
        : { action: plain, post_id, reason };
  }
  return action;
}

interface ActionFormProps {
  of: ModerationCase;
  /** It has been resolved by somebody else: it is shown for what is written in the form. */
  gone: boolean;
  /** Nothing that is in the form is wanted any more. */
  onDone: () => void;
}

/** What a moderator does about a case, and why. */
export function ActionForm({ of: one, gone, onDone }: ActionFormProps) {
  const offered = choicesFor(one);
  const [choice, setChoice] = useState<Choice>();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string>();
  const [refusal, setRefusal] = useState<string>();
  /** Whether the moderator has resolved it, and has to do the same again. */
  const [unfinished, setUnfinished] = useState(false);
  const chosen = choice !== undefined && offered.includes(choice) ? choice : offered[0];
  if (chosen === undefined) return null;
  // What the moderator does is told by its answer, which may come later than the event.
  const isOver = gone && !busy && !unfinished;
  const submit = async (form: HTMLFormElement) => {
    const reason = new FormData(form).get('reason');
    if (typeof reason !== 'string' || reason.trim() === '') {
      setFault(say('fault.any.required'));
      form.querySelector('input')?.focus();
      return;
    }
    setBusy(true);
    setFault(undefined);
    setRefusal(undefined);
    try {
      const { posts, complete } = await service.moderation.act(actionOf(chosen, one, reason));
      notify(
        posts === null
          ? say('moderation.done', { action: say(`moderation.choice.${chosen}`) })
          : say('moderation.donePosts', { count: posts }),
      );
      // What it is to be done for again stays in the form.
      if (complete === false) {
        setUnfinished(true);
        setRefusal(say('moderation.morePosts'));
      } else {
        form.reset();
        onDone();
      }
    } catch (error) {
      const why = sentenceOf(error, {
        conflict: 'moderation.conflict',
        forbidden: 'moderation.forbidden',
        network: 'problem.unanswered',
      });
      if (form.isConnected) setRefusal(why);
      else notify(`${say(`moderation.choice.${chosen}`)}: ${why}`, 'failed');
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      id={`form-${one.id}`}
      class="action"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy && !isOver) void submit(event.currentTarget);
      }}
    >
      <Field label={say('moderation.action')}>
        {(links) => (
          <select
            {...links}
            value={chosen}
            onChange={({ currentTarget }) => setChoice(currentTarget.value as Choice)}
          >
            {offered.map((name) => (
              <option key={name} value={name}>
                {say(`moderation.choice.${name}`)}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field
        label={say('report.reason')}
        hint={say(chosen === 'dismiss' ? 'moderation.reasonLog' : 'moderation.reasonBoth')}
        fault={fault}
      >
        {(links) => <input {...links} name="reason" autocomplete="off" maxLength={1000} />}
      </Field>
      {refusal !== undefined && (
        <p class="fault" role="alert">
          {refusal}
        </p>
      )}
      {isOver ? (
        <>
          <p class="fault" role="alert">
            {say('moderation.over')}
          </p>
          <button type="button" class="secondary" onClick={onDone}>
            {say('close')}
          </button>
        </>
      ) : (
        <button type="submit" class="primary" aria-disabled={busy}>
          {say('moderation.do')}
        </button>
      )}
    </form>
  );
}
