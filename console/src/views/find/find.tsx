import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import type { Search } from '../../../../client/src/m23.ts';
import type { FoundRow, Values } from '../../../../client/src/types.ts';
import { toldError, useLoad } from '../../load.ts';
import { byWhom } from '../../member.ts';
import { many } from '../../numbers.ts';
import { Card, Choice, Empty, Failure, Head, Waiting } from '../../parts/basics.tsx';
import { When } from '../../parts/both.tsx';
import { textOf, visible } from '../../parts/value.tsx';
import { choose, linkTo, place } from '../../place.ts';
import { m23, rpc } from '../../project.ts';
import { RowFields } from '../preview/change.tsx';
import { whereOf } from './where.ts';

const OPERATIONS = [
  ['DELETE', 'Deleted'],
  ['UPDATE', 'Changed'],
  ['any', 'Both'],
] as const;
const PAGE = 25;

/** Rows as they were before they were changed or deleted. */
export function Find({ tenant }: { tenant: string }): VNode {
  const { query } = place.value;
  const windows = useLoad(tenant, (signal) => rpc('get_recovery_window', { p_tenant_id: tenant }, signal));
  const tables = windows.data?.map(({ table_name }) => table_name).sort() ?? [];
  const table = query.get('table') ?? tables[0];
  const operation = query.get('operation') ?? 'DELETE';
  const where = query.get('q') ?? '';
  return (
    <div class="page">
      <Head title="Find a row" sub="As it was before somebody changed or deleted it." />
      {windows.error !== undefined && <Failure error={windows.error} again={windows.again} />}
      {windows.data?.length === 0 && <Empty icon="find" title="No table is protected" />}
      {table !== undefined && (
        <form
          class="card find-form"
          onSubmit={(event) => {
            event.preventDefault();
            choose({ q: String(new FormData(event.currentTarget).get('q')) || undefined });
          }}
        >
          <label>
            <span>Table</span>
            <select
              class="btn ghost"
              value={table}
              onChange={(event) => choose({ table: event.currentTarget.value, q: undefined })}
            >
              {tables.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <label class="grow">
            <span>Column = value; several with “and”</span>
            <input
              name="q"
              placeholder="id = 3"
              autocomplete="off"
              spellcheck={false}
              defaultValue={where}
              key={table}
            />
          </label>
          <button type="submit" class="btn primary">
            Find
          </button>
          <Choice
            label="What happened to it"
            of={OPERATIONS}
            now={operation as (typeof OPERATIONS)[number][0]}
            pick={(name) => choose({ operation: name })}
          />
        </form>
      )}
      {table !== undefined && <Found {...{ tenant, table, operation, where }} />}
    </div>
  );
}

interface FoundProps {
  tenant: string;
  table: string;
  operation: string;
  where: string;
}

function Found({ tenant, table, operation, where }: FoundProps): VNode {
  const filter = {
    tenantId: tenant,
    limit: PAGE,
    ...(operation === 'any' ? {} : { operation: operation as 'UPDATE' | 'DELETE' }),
  };
  const ask = async (more: { before?: object | undefined; signal?: AbortSignal }): Promise<Search<FoundRow>> =>
    await m23.findRows(table, { ...filter, where: whereOf(where), ...more });
  const first = useLoad(`${tenant} ${table} ${operation} ${where}`, (signal) => ask({ signal }), { keep: false });
  const [further, setFurther] = useState<{ of: Search<FoundRow>; pages: Search<FoundRow>[]; error?: unknown }>();
  const more = further?.of === first.data ? further : undefined;
  const pages = first.data === undefined ? [] : [first.data, ...(more?.pages ?? [])];
  const rows = pages.flatMap((page) => page.rows);
  const last = pages.at(-1);
  const isMore = last?.before !== undefined && (last.rows.length === PAGE || last.searchedBack !== undefined);
  const fetchMore = (): void => {
    ask({ before: last?.before }).then(
      (page) => setFurther({ of: first.data!, pages: [...(more?.pages ?? []), page] }),
      (error: unknown) => setFurther({ of: first.data!, pages: more?.pages ?? [], error }),
    );
  };
  return (
    <Card title={`Rows of ${table}`}>
      {first.error !== undefined && <Failure error={first.error} />}
      {first.data === undefined && first.error === undefined && <Waiting />}
      {first.data !== undefined && rows.length === 0 && (
        <Empty icon="find" title="No such row in the history">
          <p>Try another value, another table, or rows that were changed and not deleted.</p>
        </Empty>
      )}
      {rows.map((row) => (
        <FoundLine key={`${row.id} ${row.transaction_id}`} of={row} table={table} tenant={tenant} />
      ))}
      {more?.error !== undefined && <Failure error={toldError(more.error)} />}
      {rows.length > 0 && (
        <footer class="card-f">
          <span>{many(rows.length)} shown</span>
          {isMore && (
            <button type="button" class="link" onClick={fetchMore}>
              Show more
            </button>
          )}
        </footer>
      )}
    </Card>
  );
}

function FoundLine({ of, table, tenant }: { of: FoundRow; table: string; tenant: string }): VNode {
  return (
    <article class="found">
      <div class="found-h">
        <a href={linkTo(tenant, ['row', table, JSON.stringify(of.row_key)])}>
          <b>{visible(keyText(of.row_key))}</b>
        </a>
        <small>
          {of.operation === 'DELETE' ? 'deleted' : 'changed'} by {byWhom(of.actor)} · #{of.transaction_id}
        </small>
        <When time={of.at} />
      </div>
      <RowFields values={of.old_values} />
    </article>
  );
}

/** A key in words. */
export function keyText(key: Values): string {
  return Object.entries(key)
    .map(([name, value]) => `${name} ${textOf(value)}`)
    .join(', ');
}
