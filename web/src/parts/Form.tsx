/**
 * Forms. Each field names the JSON pointer that the service would complain about, and shows that complaint beside
 * itself; what fits no field stands above the buttons.
 */
import type { ComponentChildren, JSX } from 'preact';
import { createContext } from 'preact';
import { useContext, useEffect, useId, useRef } from 'preact/hooks';
import { sentence, type Problem } from '../api/problem';
import { ProblemNote } from './notes';

const Trouble = createContext<Problem | undefined>(undefined);

interface FormProps {
  /** What the last attempt met. */
  problem?: Problem;
  isRunning?: boolean;
  /** What the button says. */
  deed: string;
  onSubmit: (fields: FormData) => void;
  onCancel?: () => void;
  isDangerous?: boolean;
  children: ComponentChildren;
}

export function Form({ problem, isRunning, deed, onSubmit, onCancel, isDangerous, children }: FormProps) {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (problem) form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus();
  }, [problem]);
  const submit = (event: JSX.TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (!isRunning) onSubmit(new FormData(event.currentTarget));
  };
  const isTold = (problem?.errors.length ?? 0) > 0 && problem?.errors.every(({ pointer }) => form.current?.querySelector(`[data-pointer="${CSS.escape(pointer)}"]`));
  return (
    <form ref={form} onSubmit={submit}>
      <Trouble.Provider value={problem}>{children}</Trouble.Provider>
      {problem && !isTold && <ProblemNote problem={problem} />}
      <div class="form-deeds">
        {onCancel && (
          <button type="button" class="button" onClick={onCancel}>
            Cancel
          </button>
        )}
        <button type="submit" class={`button ${isDangerous ? 'danger' : 'main'}`} aria-disabled={isRunning}>
          {deed}
        </button>
      </div>
    </form>
  );
}

interface FieldProps {
  label: string;
  /** Its name in the `FormData`, and its pointer (`/name`) unless `pointer` says otherwise. */
  name: string;
  pointer?: string;
  hint?: ComponentChildren;
  type?: 'text' | 'url' | 'email' | 'number' | 'password' | 'datetime-local';
  value?: string;
  placeholder?: string;
  isRequired?: boolean;
  isLong?: boolean;
  autoFocus?: boolean;
  /** In place of a text: what may be chosen. */
  options?: { value: string; label: string }[];
  /** What may be typed, among anything else. */
  suggestions?: readonly string[];
}

export function Field({ label, name, pointer = `/${name}`, hint, type = 'text', value, placeholder, isRequired, isLong, autoFocus, options, suggestions }: FieldProps) {
  const id = useId();
  const wrong = useContext(Trouble)?.at(pointer);
  const ids = [wrong && `${id}-wrong`, hint && `${id}-hint`].filter(Boolean).join(' ');
  const shared = {
    id,
    name,
    class: 'input',
    required: isRequired,
    autoFocus,
    'data-pointer': pointer,
    'aria-invalid': wrong ? ('true' as const) : undefined,
    'aria-describedby': ids || undefined,
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {hint && <div class="hint" id={`${id}-hint`}>{hint}</div>}
      {options ? (
        <select {...shared}>
          {options.map((option) => (
            <option key={option.value} value={option.value} selected={option.value === value}>{option.label}</option>
          ))}
        </select>
      ) : isLong ? (
        <textarea {...shared} defaultValue={value} placeholder={placeholder} />
      ) : (
        <input {...shared} type={type} defaultValue={value} placeholder={placeholder} autoComplete="off" list={suggestions && `${id}-list`} />
      )}
      {suggestions && <datalist id={`${id}-list`}>{suggestions.map((each) => <option key={each} value={each} />)}</datalist>}
      {wrong && <div class="wrong" id={`${id}-wrong`}>{sentence(wrong)}</div>}
    </div>
  );
}

/** What was typed into a field, without the space around it. */
export const typed = (fields: FormData, name: string): string => String(fields.get(name) ?? '').trim();
