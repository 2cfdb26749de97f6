const TERMINAL = process.stdout.isTTY === true;
const BOLD: readonly [string, string] =
  TERMINAL && process.env['NO_COLOR'] === undefined ? ['\x1b[1m', '\x1b[22m'] : ['', ''];
const LIVE_EVERY_MS = 1_000;
const LABEL_WIDTH = 26;

let section = 0;
let liveSince = 0;
let liveShown = false;
let silent = false;

/** Begins a numbered section. */
export function heading(title: string): void {
  say(`\n${BOLD[0]}${++section}  ${title}${BOLD[1]}`);
}

/** A line of its own. */
export function say(text = ''): void {
  if (silent) return;
  if (liveShown) process.stdout.write('\r\x1b[2K');
  liveShown = false;
  process.stdout.write(`${text}\n`);
}

/** A figure with its label. */
export function figure(label: string, value: string): void {
  say(`   ${label.padEnd(LABEL_WIDTH)} ${value}`);
}

/** The outcome of a check. */
export function verdict(holds: boolean, what: string, details: string): void {
  say(`   ${holds ? '✓' : '✗'} ${what.padEnd(44)} ${details}`);
}

/** A line that the next one replaces; one line a second where there is no terminal. */
export function live(text: string): void {
  if (silent) return;
  if (TERMINAL) {
    process.stdout.write(`\r\x1b[2K   ${text.slice(0, (process.stdout.columns || 80) - 4)}`);
    liveShown = true;
  } else if (performance.now() - liveSince > LIVE_EVERY_MS) {
    liveSince = performance.now();
    say(`   ${text}`);
  }
}

/** Rows in columns: the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows) {
    say(
      `   ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart((widths[column] ?? 0) + 2))).join('')}`.trimEnd(),
    );
  }
}

/** The last words: whatever is still under way is not worth telling. */
export function close(): void {
  silent = true;
}
