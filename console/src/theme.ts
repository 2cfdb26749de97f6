// Light or dark: the system's choice until somebody makes one.
import { signal } from '@preact/signals';

const STORED = 'm23-theme';
const system = matchMedia('(prefers-color-scheme: dark)');

/** Changes whenever the colours of the page do. */
export const scheme = signal(chosen() ?? (system.matches ? 'dark' : 'light'));

system.addEventListener('change', () => {
  if (chosen() === undefined) scheme.value = system.matches ? 'dark' : 'light';
});

/** Puts the person's choice into force. */
export function showTheme(): void {
  const choice = chosen();
  if (choice !== undefined) document.documentElement.dataset['theme'] = choice;
}

/** Goes from light to dark, or back. */
export function flipTheme(): void {
  const next = scheme.peek() === 'dark' ? 'light' : 'dark';
  localStorage.setItem(STORED, next);
  showTheme();
  scheme.value = next;
}

/** A colour of the page, as a canvas takes it. */
export function colour(name: string): string {
  const probe = document.createElement('i');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function chosen(): 'light' | 'dark' | undefined {
  const stored = localStorage.getItem(STORED);
  return stored === 'light' || stored === 'dark' ? stored : undefined;
}
