import type { VNode } from 'preact';

import { Ops } from '../../parts/figures.tsx';
import { tell } from '../../time.ts';
import type { Bars } from './bars.ts';
import type { Margins } from './chart.tsx';

const BARS = [
  ['i', 'inserted'],
  ['u', 'updated'],
  ['d', 'deleted, downwards'],
] as const;
const MARKS = [
  ['backup', 'backup'],
  ['snapshot', 'snapshot'],
  ['restore', 'restore'],
  ['test', 'proof'],
  ['schema_change', 'schema change'],
  ['gap', 'gap'],
] as const;

/** What the shapes and colours mean. */
export function Legend(): VNode {
  return (
    <div class="legend">
      {BARS.map(([kind, text]) => (
        <span key={kind}>
          <i class={`dot d-${kind}`} aria-hidden="true" />
          {text}
        </span>
      ))}
      {MARKS.map(([kind, text]) => (
        <span key={kind}>
          <b class={`ev ev-${kind}`} aria-hidden="true" />
          {text}
        </span>
      ))}
      <span class="grow">heights are compressed</span>
    </div>
  );
}

/** The figures of the part that is pointed at. */
export function Tip({
  bars,
  part,
  width,
  margins,
}: {
  bars: Bars;
  part: number;
  width: number;
  margins: Margins;
}): VNode {
  const { from, part: length, parts } = bars.range;
  const begin = from + part * length;
  const left = margins.left + ((part + 1) / parts) * (width - margins.left - margins.right) + 6;
  const form = length < 60_000 ? 'second' : 'minute';
  return (
    <div class="tip" aria-hidden="true" style={{ left: `${Math.min(left, width - 170)}px` }}>
      <b>
        {length >= 3_600_000 && `${tell(begin, 'date')}, `}
        {tell(begin, form)} – {tell(begin + length, form)}
      </b>
      <Ops {...bars.all[part]!} />
    </div>
  );
}
