import type { VNode } from 'preact';

import { useLoad } from '../../load.ts';
import { Failure, Waiting } from '../../parts/basics.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Effect } from '../../parts/figures.tsx';
import { m23 } from '../../project.ts';
import { startUndo } from './run.ts';

/** What undoing a restore would change, and the button that does it. */
export function ConfirmUndo({
  tenant,
  snapshot,
  close,
}: {
  tenant: string;
  snapshot: string;
  close: () => void;
}): VNode {
  const look = useLoad(snapshot, (signal) => m23.executePITRRollback(snapshot, undefined, true, { signal }));
  const { data } = look;
  const differs = (data?.stats?.totalOperations ?? 0) > 0;
  return (
    <Dialog title="Undo this restore?" close={close}>
      <p class="sub">Every row goes back to what it was just before the restore. You can undo that, too.</p>
      {look.error !== undefined && <Failure error={look.error} again={look.again} />}
      {look.busy && <Waiting lines={2} />}
      {data?.stats !== undefined && (
        <Effect back={data.stats.insertCount} change={data.stats.updateCount} go={data.stats.deleteCount} />
      )}
      {data !== undefined && !differs && <p class="sub">Nothing differs: there is nothing to undo.</p>}
      {data?.warnings?.map((line) => (
        <p class="note n-warn" key={line}>
          {line}
        </p>
      ))}
      {data?.wouldFail !== undefined && (
        <p class="note n-warn">
          <span>
            <b>It would be refused:</b> {data.wouldFail.error} {data.wouldFail.details.join('. ')}
          </span>
        </p>
      )}
      <div class="d-acts">
        <button type="button" class="btn" onClick={close}>
          Cancel
        </button>
        <button
          type="button"
          class="btn primary"
          disabled={!differs || data?.wouldFail !== undefined}
          onClick={() => {
            close();
            startUndo(tenant, snapshot, data?.planHash);
          }}
        >
          Undo the restore
        </button>
      </div>
    </Dialog>
  );
}
