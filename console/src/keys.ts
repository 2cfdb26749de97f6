// Keys: single ones, not while somebody types, not with modifiers, and they can be switched off.
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

const STORED = 'm23-keys';

/** Whether single keys do anything. */
export const keysOn = signal(localStorage.getItem(STORED) !== 'off');

/** Switches single keys on or off, on this browser. */
export function switchKeys(on: boolean): void {
  keysOn.value = on;
  localStorage.setItem(STORED, on ? 'on' : 'off');
}

/** What a key does; false if it has done nothing, and somebody else may. */
type Action = () => unknown;

/** What keys do while a view is there. The name of a key is that of KeyboardEvent, with Shift+ before it. */
export function useKeys(actions: Readonly<Record<string, Action>>): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (!keysOn.peek() || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (isTyping(event.target) || document.querySelector('dialog[open]') !== null) return;
      const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const action = latest.current[event.shiftKey && event.key.length > 1 ? `Shift+${name}` : name];
      if (action !== undefined && action() !== false) event.preventDefault();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, select, textarea, [contenteditable]') !== null;
}

/** Whether Enter belongs to what has the focus. */
export function enterIsTaken(): boolean {
  return document.activeElement?.closest('a, button, summary') != null;
}
