// A lane for each table: when it was changed, and how.
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { colour, scheme } from '../../theme.ts';
import { type Bars, kindOf } from './bars.ts';
import type { Margins } from './chart.tsx';

const LANE = 17;
/** Tables that are drawn; the rest is named. */
const MOST = 12;
const NAMES = { i: 'ins', u: 'upd', d: 'del' } as const;

/** The lanes of the tables with most changes. */
export function Lanes({ bars, width, margins }: { bars: Bars; width: number; margins: Margins }): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const tables = [...bars.tables].slice(0, MOST);
  const height = Math.max(tables.length, 1) * LANE;
  const colours = scheme.value;
  useEffect(() => draw(canvas.current!, tables, bars, width, margins, height), [bars, width, margins.left, colours]);
  return (
    <div class="lanes">
      <ul style={{ width: `${margins.left - 8}px` }}>
        {tables.map(([name]) => (
          <li key={name} title={name}>
            {name}
          </li>
        ))}
      </ul>
      <canvas ref={canvas} style={{ width: `${width}px`, height: `${height}px` }} />
      {bars.tables.size > MOST && <p class="fine">{bars.tables.size - MOST} more tables have changes</p>}
    </div>
  );
}

function draw(
  canvas: HTMLCanvasElement,
  tables: readonly (readonly [string, Bars['all']])[],
  { range }: Bars,
  width: number,
  margins: Margins,
  height: number,
): void {
  const ratio = devicePixelRatio;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext('2d')!;
  context.scale(ratio, ratio);
  const fills = { i: colour(NAMES.i), u: colour(NAMES.u), d: colour(NAMES.d) };
  const line = colour('line');
  const step = (width - margins.left - margins.right) / range.parts;
  for (const [row, [, sums]] of tables.entries()) {
    context.globalAlpha = 1;
    context.fillStyle = line;
    context.fillRect(margins.left, row * LANE, width - margins.left - margins.right, 1);
    for (const [part, sum] of sums.entries()) {
      const rows = sum.i + sum.u + sum.d;
      if (rows === 0) continue;
      const kind = kindOf(sum);
      context.globalAlpha = 0.3 + 0.7 * Math.min(1, Math.sqrt(rows / 200));
      context.fillStyle = fills[kind];
      context.fillRect(margins.left + part * step, row * LANE + 4, Math.max(2, step * 0.8), LANE - 7);
    }
  }
}
