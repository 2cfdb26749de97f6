import type { VNode } from 'preact';

import { keysOn, switchKeys } from './keys.ts';
import { Dialog } from './parts/dialog.tsx';

const KEYS: readonly (readonly [readonly string[], string])[] = [
  [['Left', 'Right'], 'the transaction before, after'],
  [['Shift Left', 'Shift Right'], 'a minute back, ahead'],
  [['M'], 'just before the next transaction'],
  [['I'], 'the largest deletion'],
  [['+', '−'], 'zoom'],
  [['Enter'], 'look at the rows'],
  [['R'], 'restore'],
  [['U'], 'undo a restore'],
  [['G', 'T'], 'timeline'],
  [['G', 'F'], 'find a row'],
  [['G', 'R'], 'restores'],
  [['G', 'B'], 'backups and proof'],
  [['Esc'], 'back'],
];

/** What keys do. */
export function KeysDialog({ close }: { close: () => void }): VNode {
  return (
    <Dialog title="Keys" close={close}>
      <dl class="keys">
        {KEYS.map(([keys, what]) => (
          <div key={what}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input type="checkbox" checked={keysOn.value} onChange={(event) => switchKeys(event.currentTarget.checked)} />
        Single keys work
      </label>
      <div class="d-acts">
        <button type="button" class="btn" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
