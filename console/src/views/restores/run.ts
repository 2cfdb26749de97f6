// A restore or an undo that this page has begun. It outlives the view; the database has its record.
import { signal } from '@preact/signals';

import type { M23Error } from '../../../../client/src/errors.ts';
import type { PITRPreview } from '../../../../client/src/preview.ts';
import type { OnBlocked } from '../../../../client/src/types.ts';
import { toldError } from '../../load.ts';
import { go, linkTo, place } from '../../place.ts';
import { m23 } from '../../project.ts';

/** Work under way, or how it failed. */
export interface Run {
  readonly tenant: string;
  readonly title: string;
  readonly since: number;
  /** Where to look again if it fails. */
  readonly again: string;
  readonly error?: M23Error;
}

/** The work of this page; undefined when there is none. */
export const run = signal<Run | undefined>();

/** Restores what a preview has shown, and nothing else. */
export function startRestore(tenant: string, at: string, preview: PITRPreview, onBlocked: OnBlocked): void {
  const title = `Restoring ${preview.stats.totalOperations.toLocaleString('en-GB')} rows`;
  void follow(tenant, title, location.hash, async (idempotencyKey) => {
    const request = {
      targetTimestamp: at,
      confirmRestore: true,
      planHash: preview.planHash,
      ...(onBlocked === 'refuse' ? {} : { onBlocked }),
    } as const;
    return (await m23.executePITR(request, { idempotencyKey })).restoreLogId;
  });
}

/** Goes back to the snapshot that a restore has left. */
export function startUndo(tenant: string, snapshotId: string, planHash: string | undefined): void {
  void follow(tenant, 'Undoing the restore', location.hash, async (idempotencyKey) => {
    return (await m23.executePITRRollback(snapshotId, 'undone in the console', false, { idempotencyKey, planHash }))
      .rollbackId;
  });
}

async function follow(
  tenant: string,
  title: string,
  again: string,
  work: (key: string) => Promise<string | undefined>,
): Promise<void> {
  const begun: Run = { tenant, title, since: Date.now(), again };
  run.value = begun;
  go(linkTo(tenant, ['restores']));
  try {
    const id = await work(crypto.randomUUID());
    if (run.peek() === begun) run.value = undefined;
    const { tenant: here, view } = place.peek();
    if (here === tenant && view === 'restores' && id !== undefined) go(linkTo(tenant, ['restores', id]));
  } catch (error) {
    if (run.peek() === begun) run.value = { ...begun, error: toldError(error) };
  }
}
