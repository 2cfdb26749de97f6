// The rows of a table of a preview, fetched where somebody looks.
import { useEffect, useReducer, useRef } from 'preact/hooks';

import type { M23Error } from '../../../../client/src/errors.ts';
import type { PITRPreview } from '../../../../client/src/preview.ts';
import type { PreviewChange } from '../../../../client/src/types.ts';
import { retried, toldError } from '../../load.ts';
import { rpc } from '../../project.ts';

const PAGE = 100;

/** The rows that are known, by their place in the table. */
export interface PreviewRows {
  at(index: number): PreviewChange | undefined;
  error: M23Error | undefined;
}

/** Fetches the first row between two places that is not known, with those after it, until all are. */
export function usePreviewRows(preview: PITRPreview, table: string, first: number, last: number): PreviewRows {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const store = useRef<{ of: PITRPreview; table: string; rows: Map<number, PreviewChange>; error?: M23Error }>(
    undefined,
  );
  if (store.current?.of !== preview || store.current.table !== table) {
    store.current = { of: preview, table, rows: new Map((preview.previewChanges[table] ?? []).entries()) };
  }
  const { rows, error } = store.current;
  const missing = firstMissing(rows, first, Math.min(last, (preview.changeCounts[table] ?? 0) - 1));

  useEffect(() => {
    const { previewId } = preview;
    if (missing === undefined || previewId === undefined || error !== undefined) return;
    const kept = store.current!;
    const controller = new AbortController();
    const { signal } = controller;
    const ask = async (): Promise<void> => {
      const args = { p_preview_id: previewId, p_table: table, p_offset: missing, p_limit: PAGE };
      const page = (await retried(
        () => rpc('get_pitr_preview_page', args, signal),
        signal,
      )) as unknown as PreviewChange[];
      for (const [n, row] of page.entries()) kept.rows.set(missing + n, row);
    };
    ask()
      .catch((reason: unknown) => {
        if (!signal.aborted) kept.error = toldError(reason);
      })
      .finally(() => !signal.aborted && draw(undefined as never));
    return () => controller.abort();
  }, [preview, table, missing, error]);

  return { at: (index) => rows.get(index), error };
}

function firstMissing(rows: ReadonlyMap<number, unknown>, first: number, last: number): number | undefined {
  for (let index = first; index <= last; index += 1) if (!rows.has(index)) return index;
  return undefined;
}
