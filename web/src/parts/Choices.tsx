/** One of a few ways, each with a line on what it means: radio buttons that are as large as their words. */
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

export interface Choice<V extends string> {
  value: V;
  title: ComponentChildren;
  about?: ComponentChildren;
}

interface ChoicesProps<V extends string> {
  legend: string;
  hint?: ComponentChildren;
  choices: readonly Choice<V>[];
  value: V;
  onChoose: (value: V) => void;
}

export function Choices<V extends string>({ legend, hint, choices, value, onChoose }: ChoicesProps<V>) {
  const id = useId();
  return (
    <fieldset class="choices">
      <legend>{legend}</legend>
      {hint && <p class="hint">{hint}</p>}
      <div class="choices-all">
        {choices.map((choice) => (
          <label class="choice" key={choice.value}>
            <input type="radio" name={id} value={choice.value} checked={choice.value === value}
              aria-describedby={choice.about ? `${id}-${choice.value}` : undefined} onChange={() => onChoose(choice.value)} />
            <span class="choice-title">{choice.title}</span>
            {choice.about && <span class="choice-about" id={`${id}-${choice.value}`}>{choice.about}</span>}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
