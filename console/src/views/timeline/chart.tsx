// The bars: inserts and updates up, deletes down. Heights are compressed, so that one is seen beside ten thousand.
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

import { count } from '../../numbers.ts';
import { colour, scheme } from '../../theme.ts';
import { tell } from '../../time.ts';
import type { Bars } from './bars.ts';

/** What stands left and right of the bars, in pixels. */
export interface Margins {
  left: number;
  right: number;
}

const HEIGHT = 236;
const POWER = 0.4;
const LEAST_SCALE = 20;

interface Props {
  bars: Bars;
  width: number;
  margins: Margins;
  /** A part is pointed at; undefined when none is. */
  point(part: number | undefined): void;
  pick(part: number): void;
  zoom(from: number, until: number): void;
}

/** The chart. A screen reader has the sentence above it and the table below. */
export function Chart(props: Props): VNode {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const { bars, width, margins } = props;
  const colours = scheme.value;

  // Another range has other axes: the plot is made anew, which takes less than a frame.
  useEffect(() => {
    plot.current = new uPlot(optionsOf(latest), dataOf(latest.current.bars), box.current!);
    return () => plot.current?.destroy();
  }, [bars.range.from, bars.range.until, width, margins.left, colours]);

  useEffect(() => plot.current?.setData(dataOf(bars)), [bars]);

  return <div class="plot" ref={box} aria-hidden="true" style={{ height: `${HEIGHT}px` }} />;
}

/** Series are drawn one over the other: updates with inserts below them, then the inserts alone. */
function dataOf({ range, all }: Bars): uPlot.AlignedData {
  return [
    all.map((_, n) => (range.from + n * range.part) / 1000),
    all.map(({ i, u }) => (u === 0 ? null : i + u)),
    all.map(({ i }) => (i === 0 ? null : i)),
    all.map(({ d }) => (d === 0 ? null : -d)),
  ];
}

function optionsOf(latest: { current: Props }): uPlot.Options {
  const { bars, width, margins } = latest.current;
  const { from, until, part } = bars.range;
  const line = { stroke: colour('line'), width: 1 };
  const axis = { stroke: colour('text-3'), font: '11px system-ui, sans-serif', ticks: { show: false } };
  const paths = uPlot.paths.bars!({ align: 1, size: [0.8, 40, 2] });
  const series = (name: string): uPlot.Series => ({
    fill: colour(name),
    width: 0,
    paths,
    points: { show: false },
  });
  return {
    width,
    height: HEIGHT,
    padding: [34, margins.right, 0, 0],
    legend: { show: false },
    cursor: { x: false, y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    scales: {
      x: { time: true, range: [from / 1000, until / 1000] },
      y: {
        distr: 100,
        fwd: (value: number) => Math.sign(value) * Math.abs(value) ** POWER,
        bwd: (value: number) => Math.sign(value) * Math.abs(value) ** (1 / POWER),
        range: () => limits(latest.current.bars),
      },
    },
    axes: [
      {
        ...axis,
        size: 24,
        space: 74,
        grid: { ...line, dash: [1, 3] },
        values: (_, ticks) => ticks.map((at) => label(at * 1000, until - from)),
      },
      {
        ...axis,
        size: margins.left,
        space: 14,
        filter: (_, splits) => splits,
        grid: line,
        splits: (_, __, least, most) => powers(least, most),
        values: (_, ticks) => ticks.map((n: number | null) => (n === null ? '' : n < 0 ? `−${count(-n)}` : count(n))),
      },
    ],
    series: [{}, series('upd'), series('ins'), series('del')],
    hooks: {
      setCursor: [(self) => latest.current.point(partAt(self, part, from, latest.current.bars.range.parts))],
      setSelect: [(self) => selected(self, latest.current)],
      ready: [(self) => self.over.addEventListener('click', () => clicked(self, latest.current))],
    },
  };
}

function limits({ all }: Bars): [number, number] {
  const up = Math.max(LEAST_SCALE, ...all.map(({ i, u }) => i + u));
  const down = Math.max(...all.map(({ d }) => d));
  return [-Math.max(down, up * 0.04), Math.max(up, down * 0.25)];
}

function powers(least: number, most: number): number[] {
  const found = [0];
  for (let n = 10; n <= Math.max(most, -least); n *= 10) {
    if (n <= most && n ** POWER > most ** POWER * 0.18) found.push(n);
    if (-n >= least && n ** POWER > most ** POWER * 0.18) found.unshift(-n);
  }
  return found;
}

function label(at: number, length: number): string {
  if (length > 3 * 86_400_000) return tell(at, 'date');
  return tell(at, length < 600_000 ? 'second' : 'minute');
}

function partAt(self: uPlot, part: number, from: number, parts: number): number | undefined {
  const { left = -1 } = self.cursor;
  if (left < 0) return undefined;
  const found = Math.floor((self.posToVal(left, 'x') * 1000 - from) / part);
  return found >= 0 && found < parts ? found : undefined;
}

/** A drag that is shorter than this is a click. */
const SHORTEST_DRAG = 6;

function selected(self: uPlot, { zoom }: Props): void {
  const { left, width } = self.select;
  if (width >= SHORTEST_DRAG) zoom(self.posToVal(left, 'x') * 1000, self.posToVal(left + width, 'x') * 1000);
  if (width > 0) self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
}

function clicked(self: uPlot, { bars: { range }, pick }: Props): void {
  const part = partAt(self, range.part, range.from, range.parts);
  if (part !== undefined) pick(part);
}
