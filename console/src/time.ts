// Times: the person's zone, with UTC beside. What the API gives and takes is text with microseconds.
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const FORMS = {
  minute: { hour: '2-digit', minute: '2-digit' },
  second: { hour: '2-digit', minute: '2-digit', second: '2-digit' },
  millisecond: { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 },
  day: { weekday: 'short', day: 'numeric', month: 'short' },
  date: { day: 'numeric', month: 'short' },
  fullDate: { day: 'numeric', month: 'short', year: 'numeric' },
} as const satisfies Record<string, Intl.DateTimeFormatOptions>;

/** How a time is written. */
export type Form = keyof typeof FORMS;

const formats = new Map<string, Intl.DateTimeFormat>();

/** A time in the person's zone, or in another. */
export function tell(time: number | string, form: Form = 'second', zone = ZONE): string {
  const key = `${form} ${zone}`;
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hourCycle: 'h23', ...FORMS[form] });
    formats.set(key, format);
  }
  return format.format(typeof time === 'number' ? time : Date.parse(time));
}

/** The name of the person's zone at a time, such as CET. */
export function zoneName(time: number): string {
  const parts = new Intl.DateTimeFormat('en-GB', { timeZone: ZONE, timeZoneName: 'short' }).formatToParts(time);
  return parts.find(({ type }) => type === 'timeZoneName')?.value ?? ZONE;
}

/** How long ago a time was, or how far ahead it is. */
export function ago(time: number | string, now = Date.now()): string {
  const minutes = Math.round((now - (typeof time === 'number' ? time : Date.parse(time))) / 60_000);
  const length = span(Math.abs(minutes));
  if (minutes === 0) return 'just now';
  return minutes > 0 ? `${length} ago` : `in ${length}`;
}

function span(minutes: number): string {
  if (minutes < 120) return `${minutes} min`;
  if (minutes < 2880) return `${Math.round(minutes / 60)} h`;
  return `${Math.round(minutes / 1440)} days`;
}

/** A length of time in words. */
export function lasting(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return span(Math.round(seconds / 60));
}

/** Microseconds since 1970 of a time as the API writes it. */
export function micros(time: string): bigint {
  const fraction = /\.(\d{1,6})/.exec(time)?.[1] ?? '';
  return BigInt(Math.floor(Date.parse(time) / 1000)) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
}

/** A time as the API reads it, from microseconds. */
export function isoOf(time: bigint): string {
  const seconds = time / 1_000_000n;
  const fraction = String(time % 1_000_000n).padStart(6, '0');
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** The last moment before a time. */
export function justBefore(time: string): string {
  return isoOf(micros(time) - 1n);
}
