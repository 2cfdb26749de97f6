/** Something that is timed, again and again. */
export interface Contender {
  name: string;
  /** Brings everything to where it should be; not timed. */
  prepare?: () => Promise<void>;
  run: () => Promise<void>;
}

/** Milliseconds of each repetition, by contender. */
export type Times = Record<string, number[]>;

/** The middle of some figures, and how far apart they lie. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** Times the contenders in turn, the other way round every second time: A B C, C B A, … */
export async function interleaved(repetitions: number, contenders: readonly Contender[]): Promise<Times> {
  const times: Times = Object.fromEntries(contenders.map(({ name }) => [name, []]));
  for (let n = 0; n < repetitions; n++) {
    for (const one of n % 2 === 0 ? contenders : contenders.toReversed()) {
      await one.prepare?.();
      times[one.name]?.push(await timed(one.run));
    }
  }
  return times;
}

/** Milliseconds that some work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

export function spread(figures: readonly number[]): Spread {
  return { median: quantile(figures, 0.5), min: Math.min(...figures), max: Math.max(...figures) };
}

/** The figure below which a share of all lies. */
export function quantile(figures: readonly number[], share: number): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(place)] ?? NaN, sorted[Math.ceil(place)] ?? NaN];
  return low + (high - low) * (place - Math.floor(place));
}

/** How many times as long one took as the other, repetition by repetition; undefined without either. */
export function ratio(ones: readonly number[] | undefined, others: readonly number[] | undefined): Spread | undefined {
  if (ones === undefined || others === undefined) return undefined;
  return spread(ones.map((one, n) => one / (others[n] ?? NaN)));
}

/** What one adds to the plain work, as a share of what the other adds to it. */
export function addedRatio(
  ones: readonly number[] | undefined,
  others: readonly number[] | undefined,
  plain: readonly number[] | undefined,
): Spread | undefined {
  if (ones === undefined || others === undefined || plain === undefined) return undefined;
  const base = quantile(plain, 0.5);
  return ratio(
    ones.map((one) => one - base),
    others.map((other) => other - base),
  );
}
