import type { VNode } from 'preact';

import type { RecoveryTest } from '../../../../client/src/types.ts';
import { Card, Empty, Status } from '../../parts/basics.tsx';
import { When } from '../../parts/both.tsx';
import { lasting, tell } from '../../time.ts';
import { isDamage } from './chains.tsx';
import type { Standing } from './standing.ts';

const SHOWN = 20;

/** The recovery tests, newest first, with what each has found. */
export function Tests({ of: { tests, jobs } }: { of: Standing }): VNode {
  const nameOf = (id: string | null): string => {
    const job = jobs.find((one) => one.id === id);
    return job === undefined
      ? 'a backup that is gone'
      : `${tell(job.created_at, 'day')} ${tell(job.created_at, 'minute')}, ${job.job_type}`;
  };
  return (
    <Card title="Tests">
      {tests.length === 0 && (
        <Empty icon="proof" title="No backup was tested yet">
          <p>A deep test really restores a backup, beside the live data, and compares every row.</p>
        </Empty>
      )}
      {tests.length > 0 && (
        <div class="grid g-test" role="table" aria-label="Tests">
          <div class="tr th" role="row">
            {['When', 'Result', 'Level', 'Backup', 'Restored in'].map((title) => (
              <span role="columnheader" key={title}>
                {title}
              </span>
            ))}
          </div>
          {tests.slice(0, SHOWN).map((test) => (
            <div class="tr" role="row" key={test.id}>
              <span role="cell">
                <When time={test.created_at} form="minute" />
              </span>
              <span role="cell">
                <Result of={test} />
              </span>
              <span role="cell">{test.validation_level}</span>
              <span role="cell" class="in">
                {nameOf(test.backup_job_id)}
              </span>
              <span role="cell" class="n">
                {test.results?.recoverySeconds === undefined ? '–' : lasting(test.results.recoverySeconds)}
              </span>
            </div>
          ))}
        </div>
      )}
    </Card>
  );
}

function Result({ of: test }: { of: RecoveryTest }): VNode {
  if (test.status === 'in_progress' || test.status === 'pending') return <Status is="run">runs</Status>;
  if (test.status !== 'completed') return <Status is="bad">{test.error_message ?? test.status}</Status>;
  const findings = test.results?.findings ?? [];
  if (findings.length === 0) {
    return (
      <Status is="ok">{test.validation_level === 'deep' ? 'restored, every row the same' : 'no damage found'}</Status>
    );
  }
  return (
    <details>
      <summary>
        <Status is={isDamage(test) ? 'bad' : 'warn'}>{findings[0]!.sentence}</Status>
      </summary>
      <ul class="detail">
        {findings.map(({ sentence, object }) => (
          <li key={`${object} ${sentence}`}>
            {sentence} <small>{object}</small>
          </li>
        ))}
        {(test.results?.recommendations ?? []).map((line) => (
          <li key={line}>
            <b>{line}</b>
          </li>
        ))}
      </ul>
    </details>
  );
}
