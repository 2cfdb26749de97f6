import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import type { Search } from '../../../../client/src/m23.ts';
import type { Transaction } from '../../../../client/src/types.ts';
import { toldError, useLoad } from '../../load.ts';
import { whoIs } from '../../member.ts';
import { many } from '../../numbers.ts';
import { Card, Choice, Empty, Failure, Waiting } from '../../parts/basics.tsx';
import { When } from '../../parts/both.tsx';
import { Ops } from '../../parts/figures.tsx';
import { m23 } from '../../project.ts';
import type { Range } from './range.ts';

/** How transactions are ordered. */
export type Order = 'deletes' | 'rows' | 'time';

const ORDERS = [
  ['deletes', 'Most deleted'],
  ['rows', 'Largest'],
  ['time', 'Newest'],
] as const satisfies readonly (readonly [Order, string])[];
const PAGE = 25;

interface Props {
  tenant: string;
  range: Range;
  order: Order;
  actor: string | undefined;
  chosen: string | undefined;
  sort(order: Order): void;
  pick(transaction: Transaction): void;
}

/** The transactions of a range, page by page. */
export function Transactions({ tenant, range, order, actor, chosen, sort, pick }: Props): VNode {
  const filter = {
    tenantId: tenant,
    since: new Date(range.from),
    until: new Date(range.until),
    order,
    actor,
    limit: PAGE,
  };
  const key = `${tenant} ${range.from} ${range.until} ${order} ${actor}`;
  const first = useLoad(key, (signal) => m23.getTransactions({ ...filter, signal }));
  const [further, setFurther] = useState<{ of: Search<Transaction>; pages: Search<Transaction>[]; error?: Error }>();
  const more = further?.of === first.data ? further : undefined;
  const pages = first.data === undefined ? [] : [first.data, ...(more?.pages ?? [])];
  const last = pages.at(-1);
  const rows = pages.flatMap((page) => page.rows);
  const isMore =
    last !== undefined && last.before !== undefined && (last.rows.length === PAGE || last.searchedBack !== undefined);

  const fetchMore = async (): Promise<void> => {
    const of = first.data!;
    try {
      const page = await m23.getTransactions({ ...filter, before: last?.before });
      setFurther({ of, pages: [...(more?.pages ?? []), page] });
    } catch (error) {
      setFurther({ of, pages: more?.pages ?? [], error: toldError(error) });
    }
  };

  return (
    <Card title="Transactions" extra={<Choice label="Order" of={ORDERS} now={order} pick={sort} />}>
      {first.error !== undefined && <Failure error={first.error} again={first.again} />}
      {first.data === undefined && first.error === undefined && <Waiting />}
      {first.data !== undefined && rows.length === 0 && (
        <Empty icon="timeline" title={`Nothing was ${order === 'deletes' ? 'deleted' : 'changed'} in this time`}>
          <p>{order === 'deletes' ? 'Newest shows other changes.' : 'Choose a longer time above.'}</p>
        </Empty>
      )}
      {rows.length > 0 && (
        <div class={first.busy ? 'grid g-tx old' : 'grid g-tx'} role="table" aria-label="Transactions">
          <div class="tr th" role="row">
            {['Committed', 'Who', 'Rows', 'Tables'].map((title) => (
              <span role="columnheader" key={title}>
                {title}
              </span>
            ))}
          </div>
          {rows.map((one) => (
            <Line key={one.transaction_id} of={one} chosen={one.transaction_id === chosen} pick={pick} />
          ))}
        </div>
      )}
      {more?.error !== undefined && <Failure error={toldError(more.error)} />}
      {rows.length > 0 && (
        <footer class="card-f">
          <span>
            {many(rows.length, 'transaction')} shown
            {last?.searchedBack !== undefined && '; the search is not at its end'}
          </span>
          {isMore && (
            <button type="button" class="link" onClick={() => void fetchMore()}>
              Show more
            </button>
          )}
        </footer>
      )}
    </Card>
  );
}

function Line({ of, chosen, pick }: { of: Transaction; chosen: boolean; pick: Props['pick'] }): VNode {
  const { title, detail } = whoDid(of);
  return (
    <div class={chosen ? 'tr chosen' : 'tr'} role="row">
      <span role="cell">
        <When time={of.at} />
      </span>
      <span role="cell" class="who">
        <button type="button" class="row-link" aria-pressed={chosen} onClick={() => pick(of)}>
          {title}
        </button>
        <small>{detail}</small>
      </span>
      <span role="cell">
        <Ops i={of.inserts} u={of.updates} d={of.deletes} />
      </span>
      <span role="cell" class="in">
        {of.tables.join(' · ')}
      </span>
    </div>
  );
}

/** What M23 itself wrote. */
const OWN: Readonly<Record<string, string>> = { restore: 'A restore', rollback: 'The undo of a restore' };

/** Who made a transaction, in words. */
export function whoDid({ actor, source, transaction_id }: Pick<Transaction, 'actor' | 'source' | 'transaction_id'>): {
  title: string;
  detail: string;
} {
  const detail = `#${transaction_id}`;
  if (source === null) return { title: whoIs(actor), detail };
  const own = OWN[source.split(' ')[0] ?? ''];
  return own === undefined ? { title: whoIs(actor), detail: `${source} · ${detail}` } : { title: own, detail };
}
