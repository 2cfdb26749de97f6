// What happened beside the changes of rows: backups, snapshots, restores, tests, gaps, schema changes.
import type { VNode } from 'preact';

import type { HistoryEvent } from '../../../../client/src/types.ts';
import { tell } from '../../time.ts';
import type { Margins } from './chart.tsx';
import type { Range } from './range.ts';

const APART = 13;

/** The marks of a range, side by side where they would cover each other. */
export function Marks(props: {
  events: readonly HistoryEvent[];
  range: Range;
  width: number;
  margins: Margins;
}): VNode {
  const { range, width, margins } = props;
  const scale = (width - margins.left - margins.right) / (range.until - range.from);
  let next = width;
  // The newest first, each left of the one that came after it.
  const shown = props.events.flatMap((event) => {
    const at = margins.left + (Date.parse(event.at) - range.from) * scale;
    const left = Math.min(at, next - APART);
    if (left < margins.left) return [];
    next = left;
    return [{ event, left }];
  });
  const hidden = props.events.length - shown.length;
  return (
    <div class="marks">
      <span class="lane-name">events</span>
      <ul aria-label="Events">
        {shown.map(({ event, left }) => (
          <li key={`${event.kind} ${event.id} ${event.at}`} style={{ left: `${left}px` }} title={sentence(event)}>
            <b class={`ev ev-${event.kind}`} aria-hidden="true" />
            <span class="vh">{sentence(event)}</span>
          </li>
        ))}
      </ul>
      {hidden > 0 && <span class="vh">{hidden} more events</span>}
    </div>
  );
}

function sentence({ at, summary }: HistoryEvent): string {
  return `${summary}, ${tell(at, 'day')} ${tell(at)}`;
}
