// Where two texts differ: what they begin and end with is the same.

/** A text in three parts, of which the middle one differs. */
export interface Differing {
  readonly before: string;
  readonly middle: string;
  readonly after: string;
}

/** Two texts, divided where they differ. */
export function differing(one: string, other: string): [Differing, Differing] {
  const shorter = Math.min(one.length, other.length);
  let start = 0;
  while (start < shorter && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  return [parted(one, start, end), parted(other, start, end)];
}

function parted(text: string, start: number, end: number): Differing {
  return {
    before: text.slice(0, start),
    middle: text.slice(start, text.length - end),
    after: text.slice(text.length - end),
  };
}
