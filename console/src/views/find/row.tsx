import type { VNode } from 'preact';

import type { RowChange, Values } from '../../../../client/src/types.ts';
import { useKeys } from '../../keys.ts';
import { useLoad } from '../../load.ts';
import { Card, Empty, Failure, Head, Waiting } from '../../parts/basics.tsx';
import { When } from '../../parts/both.tsx';
import { Sign } from '../../parts/figures.tsx';
import { Icon } from '../../parts/icon.tsx';
import { visible } from '../../parts/value.tsx';
import { linkTo, place } from '../../place.ts';
import { m23 } from '../../project.ts';
import { justBefore } from '../../time.ts';
import { Fields, RowFields } from '../preview/change.tsx';
import { whoDid } from '../timeline/transactions.tsx';
import { keyText } from './find.tsx';

const MOST = 200;

/** Everything that happened to one row. */
export function RowHistory({ tenant }: { tenant: string }): VNode {
  const [table = '', text = ''] = place.value.rest;
  const key = keyOf(text);
  const changes = useLoad(key === undefined ? null : `${tenant} ${table} ${text}`, (signal) =>
    m23.getRowHistory(table, key!, { tenantId: tenant, limit: MOST, signal }),
  );
  useKeys({ Escape: () => history.back() });
  return (
    <div class="page narrow">
      <a class="back" href={linkTo(tenant, ['find'], { table })}>
        <Icon name="left" /> Find a row
      </a>
      <Head
        title={`${table}: ${key === undefined ? 'no such key' : keyText(key)}`}
        sub="Every change, the newest first."
      />
      {changes.error !== undefined && <Failure error={changes.error} again={changes.again} />}
      {key !== undefined && changes.data === undefined && changes.error === undefined && <Waiting lines={6} />}
      {changes.data?.length === 0 && (
        <Empty icon="find" title="Nothing happened to this row in the history">
          <p>It was not changed for as long as the history reaches, or there never was such a row.</p>
        </Empty>
      )}
      {changes.data?.map((one) => (
        <ChangeCard key={`${one.transaction_id} ${one.id} ${one.operation}`} of={one} tenant={tenant} table={table} />
      ))}
      {changes.data?.length === MOST && <p class="sub">Older changes are not shown.</p>}
    </div>
  );
}

const TOLD: Readonly<Record<RowChange['operation'], readonly ['i' | 'u' | 'd', string]>> = {
  INSERT: ['i', 'Inserted'],
  UPDATE: ['u', 'Changed'],
  DELETE: ['d', 'Deleted'],
  KEY_FROM: ['u', 'Left this key'],
  KEY_TO: ['u', 'Came to this key'],
  TENANT_FROM: ['d', 'Left this tenant'],
  TENANT_TO: ['i', 'Came to this tenant'],
};

function ChangeCard({ of, tenant, table }: { of: RowChange; tenant: string; table: string }): VNode {
  const [kind, word] = TOLD[of.operation];
  const by = whoDid(of);
  const link = linkTo(tenant, ['preview'], { at: justBefore(of.at), tx: of.transaction_id, table });
  return (
    <Card title={`${word} · ${by.title}`} extra={<When time={of.at} />}>
      <div class="hist">
        <p class="sub">
          <Sign kind={kind} /> {visible(by.detail)}
        </p>
        <Before of={of} />
        {of.operation !== 'INSERT' && (
          <a class="btn" href={link}>
            Look at everything back to just before
          </a>
        )}
      </div>
    </Card>
  );
}

function Before({ of: { old_values, new_values, changed_columns } }: { of: RowChange }): VNode | null {
  if (old_values !== null && new_values !== null) {
    const only = (values: Values): Values =>
      Object.fromEntries((changed_columns ?? Object.keys(values)).map((name) => [name, values[name]]));
    return (
      <div class="pcmp r-h">
        <Fields now={only(old_values)} then={only(new_values)} />
      </div>
    );
  }
  const values = old_values ?? new_values;
  return values === null ? null : <RowFields values={values} />;
}

function keyOf(text: string): Values | undefined {
  try {
    const key: unknown = JSON.parse(text);
    return typeof key === 'object' && key !== null ? (key as Values) : undefined;
  } catch {
    return undefined;
  }
}
