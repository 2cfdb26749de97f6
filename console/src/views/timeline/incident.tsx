import type { VNode } from 'preact';

import type { Transaction } from '../../../../client/src/types.ts';
import { count, many } from '../../numbers.ts';
import { Icon } from '../../parts/icon.tsx';
import { ago, tell } from '../../time.ts';
import type { Bars } from './bars.ts';
import { whoDid } from './transactions.tsx';

/** The largest deletion of the time that is shown: what somebody who was called most likely looks for. */
export function Incident({ of, usual, pick }: { of: Transaction; usual: number | undefined; pick: () => void }): VNode {
  const by = whoDid(of);
  return (
    <button type="button" class="incident" onClick={pick}>
      <Icon name="warn" />
      <span>
        <b>
          Largest deletion in this time: {many(of.deletes)}, {ago(of.at)}.
        </b>{' '}
        {by.title}, <code>{by.detail}</code> at {tell(of.at)}.
        {usual !== undefined && ` Usually ${usual === 1 ? '1 row is' : `${count(usual)} rows are`} deleted in a day.`}
      </span>
      <span class="go">
        Go there <kbd>I</kbd>
      </span>
    </button>
  );
}

/** The median of the rows that are deleted in a day; undefined while fewer than three days are known. */
export function usualDeletes({ range, all }: Bars): number | undefined {
  const perDay = Math.round(86_400_000 / range.part);
  const first = all.findIndex(({ i, u, d }) => i + u + d > 0);
  const days: number[] = [];
  for (let part = first; first >= 0 && part + perDay <= all.length; part += perDay) {
    days.push(all.slice(part, part + perDay).reduce((sum, { d }) => sum + d, 0));
  }
  return days.length < 3 ? undefined : days.toSorted((a, b) => a - b)[Math.floor(days.length / 2)];
}
