// Numbers of rows, by what happened to them: a shape and a word before the colour.
import type { VNode } from 'preact';

import { count } from '../numbers.ts';

/** What happened to a row, or would. */
export type Kind = 'i' | 'u' | 'd';

const GLYPHS = { i: '+', u: '~', d: '−' } as const;
const HAPPENED = { i: 'inserted', u: 'updated', d: 'deleted' } as const;

/** A number of rows with its sign. */
export function Op({ kind, rows, word }: { kind: Kind; rows: number; word?: string }): VNode {
  return (
    <span class={`op op-${kind}`}>
      <b aria-hidden="true">{GLYPHS[kind]}</b>
      {count(rows)}
      {word === undefined ? <span class="vh"> {HAPPENED[kind]}</span> : ` ${word}`}
    </span>
  );
}

/** Only the sign. */
export function Sign({ kind }: { kind: Kind }): VNode {
  return (
    <span class={`op op-${kind}`} aria-hidden="true">
      <b>{GLYPHS[kind]}</b>
    </span>
  );
}

/** Inserted, updated and deleted rows, those that there are. */
export function Ops({ i, u, d }: { i: number; u: number; d: number }): VNode {
  return (
    <span class="ops">
      {i > 0 && <Op kind="i" rows={i} />}
      {u > 0 && <Op kind="u" rows={u} />}
      {d > 0 && <Op kind="d" rows={d} />}
      {i + u + d === 0 && <span class="mute">no rows</span>}
    </span>
  );
}

/** What would come back, change and go. */
export function Effect({ back, change, go }: { back: number; change: number; go: number }): VNode {
  const tiles = [
    { kind: 'i', rows: back, word: back === 1 ? 'comes back' : 'come back' },
    { kind: 'u', rows: change, word: change === 1 ? 'changes' : 'change' },
    { kind: 'd', rows: go, word: go === 1 ? 'goes' : 'go' },
  ] as const;
  return (
    <div class="tiles">
      {tiles.map(({ kind, rows, word }) => (
        <div class={rows === 0 ? 'tile nil' : 'tile'} key={kind}>
          <Sign kind={kind} />
          <b>{count(rows)}</b> {word}
        </div>
      ))}
    </div>
  );
}
