// The time that the timeline shows, and the parts that it is divided into.

/** A length of time that can be chosen by name. */
export interface Span {
  readonly name: string;
  readonly title: string;
  readonly ms: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The lengths that have a name. */
export const SPANS: readonly Span[] = [
  { name: '30d', title: '30 days', ms: 30 * DAY },
  { name: '7d', title: '7 days', ms: 7 * DAY },
  { name: '24h', title: '24 hours', ms: DAY },
  { name: '3h', title: '3 hours', ms: 3 * HOUR },
  { name: '1h', title: '1 hour', ms: HOUR },
];

/** A range of time, in equal parts. */
export interface Range {
  readonly from: number;
  readonly until: number;
  /** How long a part is. */
  readonly part: number;
  readonly parts: number;
}

const MOST_PARTS = 150;
const SHORTEST_MS = 10_000;
const PARTS = [
  100,
  500,
  1000,
  5000,
  15_000,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  30 * MINUTE,
  HOUR,
  4 * HOUR,
  DAY,
];

/** The range between two times, so that its parts begin with whole units. */
export function rangeOf(from: number, until: number): Range {
  const length = Math.max(until - from, SHORTEST_MS);
  const part = PARTS.find((one) => length / one <= MOST_PARTS) ?? DAY;
  const begin = Math.floor((until - length) / part) * part;
  const end = Math.ceil(until / part) * part;
  return { from: begin, until: end, part, parts: Math.round((end - begin) / part) };
}

/** The range that an address asks for. */
export function rangeIn(query: URLSearchParams, now: number): Range {
  const [from, until] = [Date.parse(query.get('from') ?? ''), Date.parse(query.get('until') ?? '')];
  if (!Number.isNaN(from) && !Number.isNaN(until) && from < until) return rangeOf(from, until);
  const { ms } = SPANS.find(({ name }) => name === query.get('range')) ?? SPANS[2]!;
  const end = Number.isNaN(until) ? now : until;
  return rangeOf(end - ms, end);
}

/** The range with its middle at a time, and longer or shorter. */
export function zoomed(range: Range, factor: number, around: number, now: number): { from: string; until: string } {
  const length = Math.min(Math.max((range.until - range.from) * factor, SHORTEST_MS), 30 * DAY);
  const until = Math.min(around + length / 2, Math.max(now, range.until));
  return { from: new Date(until - length).toISOString(), until: new Date(until).toISOString() };
}
