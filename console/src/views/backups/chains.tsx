// Chains drawn as chains: a square for the full backup, a circle for each incremental.
import type { VNode } from 'preact';

import type { BackupJob, RecoveryTest } from '../../../../client/src/types.ts';
import { many, size } from '../../numbers.ts';
import { Card, Empty, Status } from '../../parts/basics.tsx';
import { Icon } from '../../parts/icon.tsx';
import { tell } from '../../time.ts';
import { type Chain, type Standing, testOf } from './standing.ts';

/** The chains of a tenant. */
export function Chains({ of: { chains, tests } }: { of: Standing }): VNode {
  return (
    <Card title="Chains" extra={<Key />}>
      {chains.length === 0 && (
        <Empty icon="backup" title="There is no backup yet">
          <p>A full backup begins a chain. Without one, only the log can bring rows back.</p>
        </Empty>
      )}
      {chains.map((chain) => (
        <ChainLine key={chain.id} of={chain} tests={tests} />
      ))}
    </Card>
  );
}

function Key(): VNode {
  return (
    <div class="legend l-chain">
      <span>
        <i class="node n-full" aria-hidden="true" />
        full
      </span>
      <span>
        <i class="node n-inc" aria-hidden="true" />
        incremental
      </span>
      <span>
        <i class="node n-inc proven" aria-hidden="true" />
        proven
      </span>
    </div>
  );
}

function ChainLine({ of: { members }, tests }: { of: Chain; tests: readonly RecoveryTest[] }): VNode {
  const first = members[0]!;
  const bytes = members.reduce((sum, one) => sum + (one.backup_size_bytes ?? 0), 0);
  const proven = members.filter((one) => proof(one, tests) === 'proven');
  const failed = members.filter(({ status }) => status === 'failed').length;
  return (
    <div class="chain">
      <div class="ch-n">
        <b>
          {tell(first.created_at, 'day')}, {tell(first.created_at, 'minute')}
        </b>
        <small>
          {many(members.length, 'backup')} · {size(bytes)}
        </small>
        {proven.length > 0 && <Status is="ok">proven</Status>}
        {proven.length === 0 && failed < members.length && <Status is="none">not proven yet</Status>}
        {failed > 0 && <Status is="bad">{failed} failed</Status>}
      </div>
      <ol class="ch-g" aria-label={`Backups since ${tell(first.created_at, 'day')}`}>
        {members.map((one) => (
          <Node key={one.id} of={one} is={proof(one, tests)} />
        ))}
      </ol>
    </div>
  );
}

function Node({ of, is }: { of: BackupJob; is: ReturnType<typeof proof> }): VNode {
  const full = of.job_type === 'full';
  const under = of.status === 'failed' ? 'failed' : of.status === 'completed' ? size(of.backup_size_bytes) : 'runs';
  return (
    <li
      title={`${of.job_type} "${of.backup_name}", ${tell(of.created_at, 'day')} ${tell(of.created_at)}: ${of.status}`}
    >
      <span class={`node ${full ? 'n-full' : 'n-inc'} ${is}`}>
        {is === 'proven' && <Icon name="ok" />}
        {is === 'bad' && <Icon name="bad" />}
      </span>
      <small>{under}</small>
      <span class="vh">
        {of.job_type} backup {of.backup_name}, {tell(of.created_at, 'day')} {tell(of.created_at)}
        {is === 'proven' && ', proven'}
        {is === 'bad' && ', damaged or failed'}
      </span>
    </li>
  );
}

function proof(job: BackupJob, tests: readonly RecoveryTest[]): 'proven' | 'bad' | '' {
  if (job.status === 'failed') return 'bad';
  const test = testOf(job, tests);
  if (test?.results == null) return '';
  if (isDamage(test)) return 'bad';
  return test.validation_level === 'deep' ? 'proven' : '';
}

/** Findings that are about the plan and not about the archive. */
const NO_DAMAGE = new Set(['rpo_missed', 'rto_missed', 'clock_odd', 'no_archive']);

/** Whether a test has found damage. */
export function isDamage({ results }: RecoveryTest): boolean {
  return (results?.findings ?? []).some(({ kind }) => !NO_DAMAGE.has(kind));
}
