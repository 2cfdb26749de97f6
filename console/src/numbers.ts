/** A number with separators. */
export function count(number: number): string {
  return number.toLocaleString('en-GB');
}

/** A number of things: `1 row`, `2 rows`. */
export function many(number: number, thing = 'row'): string {
  return `${count(number)} ${thing}${number === 1 ? '' : 's'}`;
}

/** A size in bytes, for people. */
export function size(bytes: number | null): string {
  if (bytes === null) return '';
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  const step = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  const value = bytes / 1000 ** step;
  return `${value < 10 && step > 0 ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}
