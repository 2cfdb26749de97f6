import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import type { PITRPreview } from '../../../../client/src/preview.ts';
import type { OnBlocked } from '../../../../client/src/types.ts';
import { useKeys } from '../../keys.ts';
import { useLoad } from '../../load.ts';
import { isCurrent, mayRestore } from '../../member.ts';
import { count, many } from '../../numbers.ts';
import { Card, Choice, Empty, Failure, Head, Waiting, Warnings } from '../../parts/basics.tsx';
import { Both } from '../../parts/both.tsx';
import { Effect, Ops } from '../../parts/figures.tsx';
import { Icon } from '../../parts/icon.tsx';
import { choose, linkTo, place } from '../../place.ts';
import { m23 } from '../../project.ts';
import { online } from '../../shell.tsx';
import { tell } from '../../time.ts';
import { ConfirmRestore } from '../restores/confirm.tsx';
import { PreviewTable } from './table.tsx';

const BLOCKED = [
  ['refuse', 'Refuse'],
  ['skip', 'Leave them alone'],
  ['null', 'Without the reference'],
] as const satisfies readonly (readonly [OnBlocked, string])[];

/** What would go back to a moment. It changes nothing. */
export function Preview({ tenant }: { tenant: string }): VNode {
  const { query } = place.value;
  const [at, tx] = [query.get('at') ?? '', query.get('tx') ?? undefined];
  const onBlocked = (query.get('blocked') ?? 'refuse') as OnBlocked;
  const [asked, setAsked] = useState(false);
  const look = useLoad(at === '' ? null : `${tenant} ${at} ${onBlocked}`, (signal) =>
    m23.lookAtPITR(at, { tenantId: tenant, onBlocked, signal }),
  );
  const back = linkTo(tenant, ['timeline'], { at: at || undefined, tx });
  const ready = look.data !== undefined && !look.busy && look.error === undefined;
  const possible =
    ready && mayRestore.value && look.data!.stats.totalOperations > 0 && look.data!.wouldFail === undefined;
  useKeys({
    r: () => (possible && online.value ? setAsked(true) : false),
    Escape: () => history.back(),
  });
  if (at === '') {
    return (
      <div class="page">
        <Empty icon="timeline" title="No moment is chosen">
          <a class="btn" href={back}>
            Go to the timeline
          </a>
        </Empty>
      </div>
    );
  }
  return (
    <div class="page p-preview">
      <a class="back" href={back}>
        <Icon name="left" /> Timeline
      </a>
      <Head
        title={`Everything back to ${tell(at, 'millisecond')}`}
        sub={
          <>
            {tell(at, 'day')}, <Both time={at} form="millisecond" />
            {tx !== undefined && (
              <>
                {' · just before '}
                <code>#{tx}</code>
              </>
            )}
          </>
        }
      />
      {look.error !== undefined && <Failure error={look.error} again={look.again} />}
      {look.data === undefined && look.error === undefined && <Waiting lines={10} />}
      {look.data !== undefined && look.error === undefined && (
        <Seen of={look.data} busy={look.busy} tenant={tenant} onBlocked={onBlocked} />
      )}
      {ready && (
        <div class="foot">
          <div>
            <b>{many(look.data!.stats.totalOperations)}</b> in {many(look.data!.stats.affectedTables.length, 'table')}.{' '}
            {restoring()}
          </div>
          <a class="btn ghost" href={back}>
            Cancel
          </a>
          {mayRestore.value && (
            <button
              type="button"
              class="btn primary"
              disabled={!possible || !online.value}
              onClick={() => setAsked(true)}
            >
              Restore {many(look.data!.stats.totalOperations)}… <kbd>R</kbd>
            </button>
          )}
        </div>
      )}
      {asked && look.data !== undefined && (
        <ConfirmRestore {...{ tenant, at, onBlocked }} preview={look.data} close={() => setAsked(false)} />
      )}
    </div>
  );
}

function restoring(): string {
  if (mayRestore.value) return 'Only this tenant waits meanwhile.';
  return isCurrent.value ? 'Owners and admins may restore them.' : 'To restore, pick this tenant in your application.';
}

interface SeenProps {
  of: PITRPreview;
  busy: boolean;
  tenant: string;
  onBlocked: OnBlocked;
}

function Seen({ of, busy, tenant, onBlocked }: SeenProps): VNode {
  const { insertCount, updateCount, deleteCount, totalOperations } = of.stats;
  const tables = Object.keys(of.changeCounts).sort();
  const asked = place.value.query.get('table') ?? '';
  const table = tables.includes(asked) ? asked : tables[0];
  return (
    <div class={busy ? 'seen old' : 'seen'}>
      <Effect back={insertCount} change={updateCount} go={deleteCount} />
      {of.wouldFail !== undefined && <Refused {...of.wouldFail} onBlocked={onBlocked} />}
      {totalOperations === 0 && of.wouldFail === undefined && (
        <Empty icon="ok" title="Nothing differs from that moment">
          <p>No row has changed since, or every change was taken back.</p>
        </Empty>
      )}
      {table !== undefined && (
        <div class="split rev">
          <div class="side">
            <Tables of={of} now={table} />
            {onBlocked !== 'refuse' && <Blocked onBlocked={onBlocked} />}
            <Warnings of={of.warnings} />
          </div>
          <PreviewTable key={table} of={of} table={table} tenant={tenant} />
        </div>
      )}
      {table === undefined && <Warnings of={of.warnings} />}
    </div>
  );
}

function Tables({ of, now }: { of: PITRPreview; now: string }): VNode {
  return (
    <Card title="Tables">
      <ul class="tlist">
        {Object.entries(of.changeCounts)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, rows]) => (
            <li key={name}>
              <button
                type="button"
                aria-current={name === now ? 'true' : undefined}
                onClick={() => choose({ table: name })}
              >
                <span>{name}</span>
                <Counts of={of} table={name} rows={rows} />
              </button>
            </li>
          ))}
      </ul>
    </Card>
  );
}

/** By operation where every row is known; else how many there are. */
function Counts({ of, table, rows }: { of: PITRPreview; table: string; rows: number }): VNode {
  const known = of.previewChanges[table] ?? [];
  if (known.length < rows) return <span class="count">{count(rows)}</span>;
  const sum = (operation: string): number => known.filter((one) => one.operation === operation).length;
  return <Ops i={sum('insert')} u={sum('update')} d={sum('delete')} />;
}

/** Why the restore would be refused as it is, and what can be chosen instead. */
function Refused(props: { code: string; error: string; details: readonly string[]; onBlocked: OnBlocked }): VNode {
  return (
    <div class="err e-warn" role="alert">
      <Icon name="warn" />
      <div>
        <b>This restore would be refused: {props.error}</b>
        <ul class="detail">
          {props.details.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
        {props.code === 'CONFLICT' && <Blocked onBlocked={props.onBlocked} />}
      </div>
    </div>
  );
}

function Blocked({ onBlocked }: { onBlocked: OnBlocked }): VNode {
  return (
    <div class="blocked">
      <p>Rows that need a row which cannot come back:</p>
      <Choice
        label="Rows that need a row which cannot come back"
        of={BLOCKED}
        now={onBlocked}
        pick={(name) => choose({ blocked: name === 'refuse' ? undefined : name })}
      />
    </div>
  );
}
