import type { CallOptions } from './options.ts';
import { type Project, read } from './supabase.ts';
import type { PITRRestoreResponse, PITRStats, PreviewChange, RowsLost, WouldFail } from './types.ts';

/** A row of a preview, with the table that it is in. */
export interface PreviewRow extends PreviewChange {
  readonly table: string;
}

/** What a restore to a moment would change. */
export interface PITRPreview {
  /** The figures. */
  readonly stats: PITRStats;
  /** The first 100 changes of each table that has any. */
  readonly previewChanges: Readonly<Record<string, readonly PreviewChange[]>>;
  /** How many changes each table has. */
  readonly changeCounts: Readonly<Record<string, number>>;
  /** What was written after the moment and would be lost, by who wrote it and from where; most rows first. */
  readonly rowsLost: readonly RowsLost[];
  /** What `get_pitr_preview_page` knows it by; absent if every change stands here. */
  readonly previewId: string | undefined;
  /** To be handed to `executePITR`, which then does this and nothing else. */
  readonly planHash: string | undefined;
  /** What cannot be as asked. */
  readonly warnings: readonly string[];
  /** Why the execution would be refused, if it would. */
  readonly wouldFail: WouldFail | undefined;
  /** All changes, of all tables or of one; fetched page by page while they are read. */
  rows(table?: string, options?: CallOptions): AsyncGenerator<PreviewRow, void, undefined>;
}

const PAGE = 500;
const NOTHING: PITRStats = { totalOperations: 0, insertCount: 0, updateCount: 0, deleteCount: 0, affectedTables: [] };

/** A dry run's answer as a preview. */
export function previewOf(project: Project, answer: PITRRestoreResponse): PITRPreview {
  const {
    stats = NOTHING,
    previewChanges = {},
    changeCounts = {},
    rowsLost = [],
    planHash,
    warnings = [],
    previewId,
    wouldFail,
  } = answer;

  async function* rowsOf(table: string, options: CallOptions): AsyncGenerator<PreviewRow, void, undefined> {
    const first = previewChanges[table] ?? [];
    for (const change of first) yield { table, ...change };
    let offset = first.length;
    while (previewId !== undefined && offset < (changeCounts[table] ?? 0)) {
      const args = { p_preview_id: previewId, p_table: table, p_offset: offset, p_limit: PAGE };
      const next = (await read(project.rpc('get_pitr_preview_page', args), options)) as unknown as PreviewChange[];
      if (next.length === 0) return;
      for (const change of next) yield { table, ...change };
      offset += next.length;
    }
  }

  return {
    stats,
    previewChanges,
    changeCounts,
    rowsLost,
    previewId,
    planHash,
    warnings,
    wouldFail,
    async *rows(table, options = {}) {
      for (const name of table === undefined ? Object.keys(changeCounts) : [table]) yield* rowsOf(name, options);
    },
  };
}
