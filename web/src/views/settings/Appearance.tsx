/** How the page looks in this browser. */
import { Choices, ViewHead } from '../../parts';
import { choose, theme } from '../../shell/theme';

const THEMES = [
  { value: 'auto', title: 'As the system', about: 'Light or dark, as this device has it at the moment.' },
  { value: 'light', title: 'Light' },
  { value: 'dark', title: 'Dark' },
] as const;

export function Appearance() {
  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <>
      <ViewHead title="Appearance" about="It holds for this browser." />
      <div class="settings-narrow">
        <Choices legend="Theme" choices={THEMES} value={theme.value} onChoose={choose} />
        <p class="faint small">
          Times are shown as this device has them ({zone}); UTC is shown when you point at one. Who asks their device for
          less motion gets less of it here.
        </p>
      </div>
    </>
  );
}
