// What a trial tells: progress as it goes, and figures for the table at the end.

/** When a trial is over. */
export interface Ends {
  at: number;
  /** Whether somebody has asked for the end. */
  asked: boolean;
}

export function going(ends: Ends): boolean {
  return !ends.asked && Date.now() < ends.at;
}

export class Report {
  readonly name: string;
  readonly #print: (line: string) => void;
  readonly #counts = new Map<string, number>();
  readonly #figures = new Map<string, string>();
  #said = Date.now();

  constructor(name: string, print: (line: string) => void) {
    this.name = name;
    this.#print = print;
  }

  say(line: string): void {
    this.#said = Date.now();
    this.#print(`${this.name}: ${line}`);
  }

  /** Says a line now and then. */
  progress(line: () => string, everyMs = 15_000): void {
    if (Date.now() - this.#said > everyMs) this.say(line());
  }

  count(what: string, by = 1): void {
    this.#counts.set(what, this.counted(what) + by);
  }

  counted(what: string): number {
    return this.#counts.get(what) ?? 0;
  }

  note(what: string, figure: string): void {
    this.#figures.set(what, figure);
  }

  /** Every figure, a line each. */
  get lines(): string[] {
    return [...this.#counts, ...this.#figures].map(([what, figure]) => `${what}: ${figure}`);
  }
}

/** The same things in an order of their own. */
export function shuffled<T>(things: readonly T[], random: () => number): T[] {
  const all = [...things];
  for (let n = all.length - 1; n > 0; n -= 1) {
    const other = Math.floor(random() * (n + 1));
    [all[n], all[other]] = [all[other] as T, all[n] as T];
  }
  return all;
}

export function oneOf<T>(things: readonly T[], random: () => number): T {
  if (things.length === 0) throw new Error('there is none');
  return things[Math.floor(random() * things.length)] as T;
}
