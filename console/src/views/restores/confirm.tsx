import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import type { PITRPreview } from '../../../../client/src/preview.ts';
import type { OnBlocked } from '../../../../client/src/types.ts';
import { shortName } from '../../member.ts';
import { many } from '../../numbers.ts';
import { Dialog } from '../../parts/dialog.tsx';
import { Icon } from '../../parts/icon.tsx';
import { startRestore } from './run.ts';

interface Props {
  tenant: string;
  at: string;
  preview: PITRPreview;
  onBlocked: OnBlocked;
  close: () => void;
}

/** The one question before live rows are written: whose rows they are, typed. */
export function ConfirmRestore({ tenant, at, preview, onBlocked, close }: Props): VNode {
  const [typed, setTyped] = useState('');
  const name = shortName(tenant);
  const rows = many(preview.stats.totalOperations);
  const right = typed.trim().toLowerCase() === name.toLowerCase();
  return (
    <Dialog title={`Restore ${rows} of ${name}?`} close={close}>
      <ul class="safe">
        <li>
          <Icon name="restore" />
          <span>
            <b>You can undo it:</b> a snapshot is made first.
          </span>
        </li>
        <li>
          <Icon name="mark" />
          <span>
            <b>Writers of this tenant wait</b> meanwhile, nobody else.
          </span>
        </li>
        <li>
          <Icon name="proof" />
          <span>
            <b>All or nothing.</b> Exactly the rows you looked at, or it stops.
          </span>
        </li>
      </ul>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (right) startRestore(tenant, at, preview, onBlocked);
        }}
      >
        <label class="f">
          <span>
            Type <b>{name}</b>
          </span>
          <input
            name="tenant"
            autocomplete="off"
            spellcheck={false}
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </label>
        <div class="d-acts">
          <button type="button" class="btn" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="btn primary" disabled={!right}>
            Restore {rows}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
