// How far back the tenant can go.
import type { Database } from '../../../../client/src/generated/database.ts';
import { tell } from '../../time.ts';

type Window = Database['public']['Functions']['get_recovery_window']['Returns'][number];

/** From when on every table can be reached, but for gaps. */
export interface Reach {
  readonly tables: readonly string[];
  readonly earliest: number;
  readonly gaps: readonly (readonly [number, number])[];
  readonly sentence: string;
}

/** What the windows of the tables say together. */
export function reachOf(windows: readonly Window[]): Reach {
  const earliest = Math.max(
    0,
    ...windows.map((one) => (one.earliest === null ? Date.now() : Date.parse(one.earliest))),
  );
  const gaps = windows.flatMap(({ gaps }) =>
    ((gaps ?? []) as { from: string | null; until: string | null }[]).flatMap(({ from, until }) => {
      const end = until === null ? Date.now() : Date.parse(until);
      return from === null || end <= earliest ? [] : [[Date.parse(from), end] as const];
    }),
  );
  const since = `Every table can be taken back to ${tell(earliest, 'date')}, ${tell(earliest, 'minute')}`;
  return {
    tables: windows.map(({ table_name }) => table_name),
    earliest,
    gaps,
    sentence: windows.length === 0 ? 'No table is protected.' : `${since}${gaps.length > 0 ? ', but for gaps.' : '.'}`,
  };
}
