// A value of a row: always text, whatever it holds, and never in the way of what stands beside it.
import type { ComponentChildren, VNode } from 'preact';
import { useState } from 'preact/hooks';

const SHORT = 240;
const LONG = 20_000;
/** Characters that are not seen, or turn the direction of what follows: controls, formats, separators of lines. */
const UNSEEN = /(?![\t\n])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A value as text. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** A value: its beginning, and the rest when it is asked for. */
export function Value({ value }: { value: unknown }): VNode {
  const [open, setOpen] = useState(false);
  if (value === null || value === undefined) return <em class="val none">null</em>;
  const text = textOf(value);
  if (text === '') return <em class="val none">empty</em>;
  const shown = text.slice(0, open ? LONG : SHORT);
  return (
    <span class="val" dir="auto">
      {visible(shown)}
      {text.length > shown.length && (
        <>
          …{' '}
          {open ? (
            <em>{text.length.toLocaleString('en-GB')} characters</em>
          ) : (
            <button type="button" class="more" onClick={() => setOpen(true)}>
              more
            </button>
          )}
        </>
      )}
    </span>
  );
}

/** A text with its unseen characters named. */
export function visible(text: string): ComponentChildren {
  const parts: ComponentChildren[] = [];
  let from = 0;
  for (const { index, 0: found } of text.matchAll(UNSEEN)) {
    if (index > from) parts.push(text.slice(from, index));
    const code = (found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    parts.push(<span class="ctl">U+{code}</span>);
    from = index + found.length;
  }
  return from === 0 ? text : [...parts, text.slice(from)];
}
