import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import type { BackupJob, ValidationLevel } from '../../../../client/src/types.ts';
import { toldError, useLoad } from '../../load.ts';
import { mayWork } from '../../member.ts';
import { count } from '../../numbers.ts';
import { Card, Choice, Failure, Head, Waiting } from '../../parts/basics.tsx';
import { Both } from '../../parts/both.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Icon } from '../../parts/icon.tsx';
import { rpc } from '../../project.ts';
import { online } from '../../shell.tsx';
import { lasting, tell } from '../../time.ts';
import { Chains } from './chains.tsx';
import { Proof } from './proof.tsx';
import { readStanding, type Standing } from './standing.ts';
import { Tests } from './tests.tsx';
import { backUp, testBackup, type Work, work } from './work.ts';

/** Backups as chains, whether they were proven, and the buttons to make and to test one. */
export function Backups({ tenant }: { tenant: string }): VNode {
  const own = work.value?.tenant === tenant ? work.value : undefined;
  const running = own !== undefined && own.error === undefined;
  const standing = useLoad(`${tenant} ${own?.title} ${running}`, (signal) => readStanding(tenant, signal));
  const newest = standing.data?.jobs.find(({ status, job_type }) => status === 'completed' && job_type !== 'snapshot');
  const [asked, setAsked] = useState<'backup' | 'test'>();
  return (
    <div class="page">
      <Head title="Backups & proof">
        {mayWork.value && standing.data !== undefined && (
          <>
            {newest !== undefined && (
              <button type="button" class="btn" disabled={running || !online.value} onClick={() => setAsked('test')}>
                <Icon name="proof" /> Test the newest…
              </button>
            )}
            <button
              type="button"
              class="btn primary"
              disabled={running || !online.value}
              onClick={() => setAsked('backup')}
            >
              <Icon name="backup" /> Back up now…
            </button>
          </>
        )}
      </Head>
      {own !== undefined && <WorkCard of={own} />}
      {standing.error !== undefined && <Failure error={standing.error} again={standing.again} />}
      {standing.data === undefined && standing.error === undefined && <Waiting lines={10} />}
      {standing.data !== undefined && (
        <>
          <Proof of={standing.data} />
          <Promises of={standing.data} />
          <Chains of={standing.data} />
          <Tests of={standing.data} />
        </>
      )}
      {asked === 'backup' && <AskBackup tenant={tenant} newest={newest} close={() => setAsked(undefined)} />}
      {asked === 'test' && newest !== undefined && (
        <AskTest tenant={tenant} newest={newest} close={() => setAsked(undefined)} />
      )}
    </div>
  );
}

function WorkCard({ of }: { of: Work }): VNode {
  const [error, setError] = useState<unknown>();
  if (of.error !== undefined) {
    return (
      <Failure
        error={of.error}
        label="Close"
        again={() => {
          work.value = undefined;
        }}
      />
    );
  }
  const progress = of.job?.metadata.progress;
  return (
    <section class="card run" aria-label="Running">
      <div class="r-top">
        <h2 aria-live="polite">{of.title} runs</h2>
        {progress !== undefined && <span class="n">{count(progress.rows)} rows</span>}
      </div>
      <div
        class={progress === undefined ? 'pbar under-way' : 'pbar'}
        role="progressbar"
        aria-label={of.title}
        aria-valuenow={progress?.percent}
        aria-valuemin={0}
        aria-valuemax={100}
      >
        {progress !== undefined && <i style={{ width: `${progress.percent}%` }} />}
      </div>
      <p class="sub">Nobody waits for it. You can close this page; it goes on.</p>
      {error !== undefined && <Failure error={toldError(error)} />}
      {of.job?.status === 'in_progress' && (
        <button
          type="button"
          class="btn"
          onClick={() => void rpc('cancel_backup', { p_backup_id: of.job!.id }).catch(setError)}
        >
          Stop the backup
        </button>
      )}
    </section>
  );
}

/** What the plans promise, beside what was measured. */
function Promises({ of: { plans, tests, jobs } }: { of: Standing }): VNode {
  const measured = tests.find(({ results }) => results?.recoverySeconds !== undefined)?.results?.recoverySeconds;
  const newest = jobs.find(({ status, job_type }) => status === 'completed' && job_type !== 'snapshot');
  const rto = Math.min(...plans.map(({ rto_minutes }) => rto_minutes));
  const rpo = Math.min(...plans.map(({ rpo_minutes }) => rpo_minutes));
  const due = plans.flatMap(({ next_backup_date }) => next_backup_date ?? []).sort()[0];
  return (
    <div class="trio">
      <Card title="Time to restore" extra={plans.length > 0 && <span class="count">plan {lasting(rto * 60)}</span>}>
        <p class="figure">{measured === undefined ? 'not measured yet' : lasting(measured)}</p>
        <p class="text">From the first byte read to rows whose constraints hold. A deep test measures it.</p>
      </Card>
      <Card title="Data at risk" extra={plans.length > 0 && <span class="count">plan {lasting(rpo * 60)}</span>}>
        <p class="figure">
          {newest === undefined
            ? 'everything'
            : lasting(Math.max(0, Date.now() - Date.parse(newest.created_at)) / 1000)}
        </p>
        <p class="text">Since the newest backup. Inside the database, the log reaches every moment.</p>
      </Card>
      <Card title="Next due">
        <p class="figure">{due === undefined ? 'no plan' : `${tell(due, 'day')}, ${tell(due, 'minute')}`}</p>
        <p class="text">
          {plans.length === 0 && 'Without a plan, backups are made by hand.'}
          {due !== undefined && <Both time={due} form="minute" />} {plans.map(({ plan_name }) => plan_name).join(', ')}
        </p>
      </Card>
    </div>
  );
}

interface Asking {
  tenant: string;
  close: () => void;
}

function AskBackup({ tenant, newest, close }: Asking & { newest: BackupJob | undefined }): VNode {
  const [kind, setKind] = useState<'full' | 'incremental'>(newest === undefined ? 'full' : 'incremental');
  const start = (): void => {
    close();
    void backUp(tenant, kind === 'full' ? undefined : newest);
  };
  return (
    <Dialog title="Back up now" close={close}>
      {newest !== undefined && (
        <Choice
          label="Kind"
          of={[
            ['incremental', 'What has changed'],
            ['full', 'Every row'],
          ]}
          now={kind}
          pick={(name) => setKind(name)}
        />
      )}
      <p class="sub">
        {kind === 'full'
          ? 'A full backup begins a new chain. It takes the time of the rows.'
          : 'An incremental goes on with the newest chain. It takes the time of the changes.'}
      </p>
      <div class="d-acts">
        <button type="button" class="btn" onClick={close}>
          Cancel
        </button>
        <button type="button" class="btn primary" onClick={start}>
          Back up
        </button>
      </div>
    </Dialog>
  );
}

const LEVELS = [
  ['basic', 'Basic', 'Looks whether everything is there.'],
  ['full', 'Full', 'Reads every byte.'],
  [
    'deep',
    'Deep',
    'Really restores it beside the live data, compares every row, and measures the time. Only this is proof.',
  ],
] as const satisfies readonly (readonly [ValidationLevel, string, string])[];

function AskTest({ tenant, newest, close }: Asking & { newest: BackupJob }): VNode {
  const [level, setLevel] = useState<ValidationLevel>('deep');
  const start = (): void => {
    close();
    void testBackup(tenant, newest, level);
  };
  return (
    <Dialog title="Test the newest backup" close={close}>
      <Choice
        label="Level"
        of={LEVELS.map(([name, title]) => [name, title] as const)}
        now={level}
        pick={(name) => setLevel(name)}
      />
      <p class="sub">{LEVELS.find(([name]) => name === level)?.[2]}</p>
      <div class="d-acts">
        <button type="button" class="btn" onClick={close}>
          Cancel
        </button>
        <button type="button" class="btn primary" onClick={start}>
          Test
        </button>
      </div>
    </Dialog>
  );
}
