// The handle: the moment to go back to. While it is dragged only it moves; the view asks when it rests.
import type { VNode } from 'preact';
import { useRef, useState } from 'preact/hooks';

import { tell } from '../../time.ts';
import type { Margins } from './chart.tsx';
import type { Range } from './range.ts';

interface Props {
  at: number;
  range: Range;
  width: number;
  margins: Margins;
  /** What stands beside the time. */
  note: string;
  move(at: number): void;
}

/** The handle of the chart that it lies over. */
export function Handle({ at, range, width, margins, note, move }: Props): VNode | null {
  const box = useRef<HTMLDivElement>(null);
  const [dragged, setDragged] = useState<number>();
  const room = width - margins.left - margins.right;
  const shown = dragged ?? at;
  if (shown < range.from || shown > range.until) return null;
  const left = margins.left + ((shown - range.from) / (range.until - range.from)) * room;

  const timeAt = (event: PointerEvent): number => {
    const x = event.clientX - box.current!.parentElement!.getBoundingClientRect().left - margins.left;
    const share = Math.min(Math.max(x / room, 0), 1);
    return Math.round(range.from + share * (range.until - range.from));
  };
  return (
    <div
      ref={box}
      class={left > width - 190 ? 'handle left' : 'handle'}
      style={{ left: `${left}px` }}
      role="slider"
      tabIndex={0}
      aria-label="The moment to go back to"
      aria-valuemin={range.from}
      aria-valuemax={range.until}
      aria-valuenow={shown}
      aria-valuetext={`${tell(shown, 'day')} ${tell(shown, 'millisecond')}${dragged === undefined ? `, ${note}` : ''}`}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setDragged(shown);
      }}
      onPointerMove={(event) => dragged !== undefined && setDragged(timeAt(event))}
      onPointerUp={(event) => {
        const moved = dragged !== undefined && Math.abs(dragged - at) > range.part / 20;
        setDragged(undefined);
        if (moved) move(timeAt(event));
      }}
    >
      <span class="flag">
        {tell(shown)}
        {dragged === undefined && note !== '' ? ` — ${note}` : ''}
      </span>
    </div>
  );
}
