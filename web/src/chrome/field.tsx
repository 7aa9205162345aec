import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

/** What joins a control to its label, its hint and its fault, for those who do not see that they belong together. */
export interface FieldLinks {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': boolean | undefined;
}

interface FieldProps {
  label: string;
  /** The label is read out but not shown: the control says by itself what it is for. */
  quiet?: boolean;
  hint?: string | undefined;
  fault?: string | undefined;
  children: (links: FieldLinks) => ComponentChildren;
}

/** A control with its label, and its fault beside it. */
export function Field({ label, quiet = false, hint, fault, children }: FieldProps) {
  const id = useId();
  const note = fault ?? hint;
  return (
    <div class={fault === undefined ? 'field' : 'field at-fault'}>
      <label for={id} class={quiet ? 'unseen' : undefined}>
        {label}
      </label>
      {children({
        id,
        'aria-describedby': note === undefined ? undefined : `${id}-note`,
        'aria-invalid': fault === undefined ? undefined : true,
      })}
      {note !== undefined && (
        <p id={`${id}-note`} class={fault === undefined ? 'hint' : 'fault'}>
          {note}
        </p>
      )}
    </div>
  );
}
