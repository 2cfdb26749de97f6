// The moment to go back to: when it is, whose change comes next, and what would go back.
import type { VNode } from 'preact';

import type { PITRPreview } from '../../../../client/src/preview.ts';
import type { Transaction } from '../../../../client/src/types.ts';
import type { Loaded } from '../../load.ts';
import { many } from '../../numbers.ts';
import { Failure, Waiting } from '../../parts/basics.tsx';
import { Effect, Ops } from '../../parts/figures.tsx';
import { Icon } from '../../parts/icon.tsx';
import { ago, tell, zoneName } from '../../time.ts';
import { whoDid } from './transactions.tsx';

interface Props {
  at: string;
  /** The transaction that comes next, if the moment stands just before one. */
  next: Transaction | undefined;
  look: Loaded<PITRPreview>;
  link: string;
  step(direction: -1 | 1): void;
}

/** The panel of the moment. */
export function Moment({ at, next, look, link, step }: Props): VNode {
  const time = Date.parse(at);
  return (
    <aside class="moment" aria-label="The moment">
      <div class="m-time">
        <small>The moment · {tell(time, 'day')}</small>
        <b class="big">
          {tell(time, 'millisecond')}
          <em>{zoneName(time)}</em>
        </b>
        <small>
          {tell(time, 'millisecond', 'UTC')} UTC · {ago(time)}
        </small>
        <div class="step">
          <button type="button" class="btn ghost sq" aria-label="Transaction before" onClick={() => step(-1)}>
            <Icon name="left" />
          </button>
          <span>
            {next === undefined ? 'between transactions' : 'just before '}
            {next !== undefined && <code>#{next.transaction_id}</code>}
          </span>
          <button type="button" class="btn ghost sq" aria-label="Transaction after" onClick={() => step(1)}>
            <Icon name="right" />
          </button>
        </div>
      </div>
      {next !== undefined && <Changed by={next} />}
      <div>
        <h2>Everything since this moment</h2>
        <p class="fine">The tenant as it was. What was done since goes back, too.</p>
      </div>
      <Look look={look} />
      <div class="m-acts">
        <a class="btn primary" href={link}>
          <span>Look at the rows</span>
          <kbd>Enter</kbd>
        </a>
      </div>
      <p class="fine">Looking changes nothing and costs no quota.</p>
    </aside>
  );
}

function Changed({ by }: { by: Transaction }): VNode {
  return (
    <p class="m-who">
      <b>{whoDid(by).title}</b> changed {many(by.inserts + by.updates + by.deletes)}:<br />
      <Ops i={by.inserts} u={by.updates} d={by.deletes} />
    </p>
  );
}

function Look({ look: { data, error, busy, again } }: { look: Loaded<PITRPreview> }): VNode {
  if (error !== undefined) return <Failure error={error} again={again} />;
  if (data === undefined) return <Waiting lines={2} />;
  const { insertCount, updateCount, deleteCount } = data.stats;
  return (
    <div class={busy ? 'look old' : 'look'} aria-live="polite">
      <Effect back={insertCount} change={updateCount} go={deleteCount} />
      {data.wouldFail !== undefined && (
        <p class="note n-warn">
          <Icon name="warn" />
          <span>
            <b>It would be refused as it is.</b> The rows say why.
          </span>
        </p>
      )}
      {data.warnings.length > 0 && (
        <p class="note">
          <Icon name="warn" />
          <span>{many(data.warnings.length, 'warning')} to read before you restore.</span>
        </p>
      )}
    </div>
  );
}
