import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { useKeys } from '../../keys.ts';
import { useLoad } from '../../load.ts';
import { byWhom, mayRestore, whoIs } from '../../member.ts';
import { many } from '../../numbers.ts';
import { Card, Empty, Failure, Head, type Standing, Status, Waiting, Warnings } from '../../parts/basics.tsx';
import { Both, When } from '../../parts/both.tsx';
import { Effect } from '../../parts/figures.tsx';
import { Icon } from '../../parts/icon.tsx';
import { linkTo, place } from '../../place.ts';
import { online } from '../../shell.tsx';
import { lasting, tell } from '../../time.ts';
import { type Record, readRecords } from './records.ts';
import { run } from './run.ts';
import { RunCard } from './running.tsx';
import { ConfirmUndo } from './undo.tsx';

const LOOK_EVERY_MS = 1000;

/** Restores: the one that runs, how one ended, and all before. */
export function Restores({ tenant }: { tenant: string }): VNode {
  const [id] = place.value.rest;
  const own = run.value?.tenant === tenant ? run.value : undefined;
  const records = useLoad(`${tenant} ${id} ${own?.since}`, (signal) => readRecords(tenant, signal));
  const running = records.data?.find(({ status }) => status === 'in_progress');
  const chosen = records.data?.find((one) => one.id === id);
  const moving = running !== undefined || (own !== undefined && own.error === undefined);
  useEffect(() => {
    if (!moving) return;
    const timer = setInterval(records.again, LOOK_EVERY_MS);
    return () => clearInterval(timer);
  }, [moving, records.again]);

  return (
    <div class="page narrow">
      <Head title="Restores" />
      {own !== undefined || running !== undefined ? <RunCard own={own} record={running} /> : null}
      {records.error !== undefined && records.data === undefined && (
        <Failure error={records.error} again={records.again} />
      )}
      {records.data === undefined && records.error === undefined && <Waiting />}
      {chosen !== undefined && chosen.status !== 'in_progress' && <Result of={chosen} tenant={tenant} />}
      {id !== undefined && records.data !== undefined && !records.busy && chosen === undefined && (
        <p class="sub">This restore is not here, or not yours.</p>
      )}
      {records.data !== undefined && <Earlier of={records.data} tenant={tenant} chosen={id} />}
    </div>
  );
}

function Result({ of, tenant }: { of: Record; tenant: string }): VNode {
  const [undoing, setUndoing] = useState(false);
  const { undo } = of;
  const possible = undo !== undefined && mayRestore.value;
  useKeys({ u: () => (possible && online.value ? setUndoing(true) : false) });
  const done = of.status === 'completed';
  return (
    <>
      <section class="card result" aria-label="Result">
        <div class="res-h">
          <span class={done ? 'ok' : 's-bad'}>
            <Icon name={done ? 'ok' : 'bad'} large />
          </span>
          <div>
            <h2>{titleOf(of)}</h2>
            <p>
              {of.kind === 'restore' ? <To of={of} /> : 'To the rows from before the restore'},{' '}
              <Both time={of.ended ?? of.at} />
              {of.seconds !== null && ` in ${lasting(of.seconds)}`}, by {byWhom(of.by)}.
            </p>
          </div>
        </div>
        {done && (
          <div class="checks">
            <Status is="ok">Compared again: no difference</Status>
            <Status is="ok">All foreign keys hold</Status>
            <Status is="ok">Only rows of this tenant were written</Status>
          </div>
        )}
        {of.error !== null && <p class="fault">{of.error}</p>}
        {!done && <p>Nothing was changed.</p>}
        {of.stats !== null && done && (
          <Effect back={of.stats.insertCount} change={of.stats.updateCount} go={of.stats.deleteCount} />
        )}
        {of.tables.length > 0 && done && <p class="sub">{of.tables.join(' · ')}</p>}
        {of.undone && <Status is="none">It was undone afterwards.</Status>}
        {possible && (
          <div class="undo">
            <Icon name="restore" />
            <div>
              <b>Not what you wanted?</b>
              <p>
                Undo puts every row back as it was before. Possible until{' '}
                <b>
                  {tell(undo.until, 'fullDate')}, {tell(undo.until, 'minute')}
                </b>
                .
              </p>
            </div>
            <button type="button" class="btn" disabled={!online.value} onClick={() => setUndoing(true)}>
              Undo this restore… <kbd>U</kbd>
            </button>
          </div>
        )}
      </section>
      <Warnings of={of.warnings} />
      {undoing && undo !== undefined && (
        <ConfirmUndo tenant={tenant} snapshot={undo.snapshot} close={() => setUndoing(false)} />
      )}
    </>
  );
}

function To({ of: { to } }: { of: Record }): VNode {
  if (to === undefined || to === 'a backup') return <>From a backup</>;
  return (
    <>
      To {tell(to, 'day')}, {tell(to, 'millisecond')}
    </>
  );
}

function titleOf({ status, kind, rows }: Record): string {
  if (status === 'failed') return kind === 'restore' ? 'The restore failed' : 'The undo failed';
  if (status === 'cancelled') return 'It was stopped';
  if (kind === 'undo') return `Undone: ${many(rows ?? 0)} as before`;
  return `${many(rows ?? 0)} ${rows === 1 ? 'is' : 'are'} as they were`.replace(
    'row is as they were',
    'row is as it was',
  );
}

const STANDINGS: Readonly<{ [Status in Record['status']]: Standing }> = {
  pending: 'run',
  in_progress: 'run',
  completed: 'ok',
  failed: 'bad',
  cancelled: 'warn',
};

function Earlier({ of, tenant, chosen }: { of: readonly Record[]; tenant: string; chosen: string | undefined }): VNode {
  return (
    <Card title="All restores">
      {of.length === 0 && (
        <Empty icon="restore" title="Nothing was restored yet">
          <p>The timeline is where a restore begins.</p>
        </Empty>
      )}
      {of.length > 0 && (
        <div class="grid g-res" role="table" aria-label="All restores">
          {of.map((one) => (
            <div class={one.id === chosen ? 'tr chosen' : 'tr'} role="row" key={one.id}>
              <span role="cell">
                <When time={one.at} />
              </span>
              <span role="cell">
                <Status is={one.undone ? 'none' : STANDINGS[one.status]}>
                  <a href={linkTo(tenant, ['restores', one.id])}>{lineOf(one)}</a>
                </Status>
              </span>
              <span class="mute" role="cell">
                {whoIs(one.by)}
              </span>
            </div>
          ))}
        </div>
      )}
    </Card>
  );
}

function lineOf(one: Record): string {
  if (one.status === 'in_progress' || one.status === 'pending') return one.kind === 'undo' ? 'Undo runs' : 'Runs';
  return `${titleOf(one)}${one.undone ? ', then undone' : ''}`;
}
