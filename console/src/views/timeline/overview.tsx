// Thirty days at a glance, with what can be reached and what the chart below shows.
import type { VNode } from 'preact';

import type { Bars } from './bars.ts';
import type { Margins } from './chart.tsx';
import type { Range } from './range.ts';
import type { Reach } from './reach.ts';

const HEIGHT = 44;

/** The overview. */
export function Overview(props: { bars: Bars; shown: Range; reach: Reach; width: number; margins: Margins }): VNode {
  const { bars, shown, reach, width, margins } = props;
  const { from, until } = bars.range;
  const room = width - margins.left - margins.right;
  const x = (time: number): number =>
    margins.left + (Math.min(Math.max(time, from), until) - from) * (room / (until - from));
  const most = Math.max(1, ...bars.all.map(({ i, u, d }) => i + u + d));
  const step = room / bars.range.parts;
  return (
    <svg class="over" width={width} height={HEIGHT} role="img" aria-label={`The last 30 days. ${reach.sentence}`}>
      <text x={14} y={20} class="lane-name">
        30 days
      </text>
      {bars.all.map(({ i, u, d }, n) => {
        const height = Math.max(1.5, 22 * Math.sqrt((i + u + d) / most));
        return (
          <rect
            key={n}
            class="over-b"
            x={margins.left + n * step}
            y={28 - height}
            width={Math.max(step - 1, 0.5)}
            height={height}
          />
        );
      })}
      <rect class="cover" x={x(reach.earliest)} y={33} width={Math.max(x(until) - x(reach.earliest), 2)} height={4} />
      {reach.gaps.map(([begin, end]) => (
        <rect key={begin} class="gap" x={x(begin)} y={32} width={Math.max(x(end) - x(begin), 4)} height={6} />
      ))}
      <rect
        class="window"
        x={x(shown.from) - 2}
        y={2}
        width={Math.max(x(shown.until) - x(shown.from) + 4, 8)}
        height={HEIGHT - 6}
        rx={4}
      />
    </svg>
  );
}
