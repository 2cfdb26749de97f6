/** `60,121` */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `60,121 rows`, `1 row` */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `15.2 MB` */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** `3.21 s` */
export function seconds(value: number): string {
  return `${value.toFixed(value < 9.95 ? 2 : 1)} s`;
}

/** `18,900 rows/s` */
export function rate(rows: number, inSeconds: number): string {
  return `${count(Math.round(rows / Math.max(inSeconds, 0.001) / 100) * 100)} rows/s`;
}

/** `[██████····]  60 %` */
export function bar(done: number, total: number): string {
  const share = total > 0 ? Math.min(1, done / total) : 0;
  const filled = Math.floor(share * 20);
  return `[${'█'.repeat(filled)}${'·'.repeat(20 - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}

/** Seconds since it was made. */
export function stopwatch(): () => number {
  const started = performance.now();
  return () => (performance.now() - started) / 1000;
}
