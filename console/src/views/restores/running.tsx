import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { toldError } from '../../load.ts';
import { mayRestore, whoIs } from '../../member.ts';
import { Failure } from '../../parts/basics.tsx';
import { go } from '../../place.ts';
import { rpc } from '../../project.ts';
import { lasting } from '../../time.ts';
import type { Record } from './records.ts';
import { type Run, run } from './run.ts';

/** Work under way: this page's own, or somebody else's. */
export function RunCard({ own, record }: { own: Run | undefined; record: Record | undefined }): VNode {
  if (own?.error !== undefined) return <Failed of={own} />;
  const since = own?.since ?? Date.parse(record!.at);
  return (
    <section class="card run" aria-label="Running">
      <div class="r-top">
        <h2 aria-live="polite">
          {own?.title ?? `${whoIs(record!.by)} ${record!.kind === 'undo' ? 'undoes a restore' : 'restores'}`}
        </h2>
        <Elapsed since={since} />
      </div>
      <div class="pbar under-way" role="progressbar" aria-label="The restore" />
      <p class="sub">
        Nothing has changed until the last step is done: rows are planned, written and compared in one transaction. You
        can close this page; it goes on, and its result stands under Restores.
      </p>
      {mayRestore.value && record !== undefined && <Stop id={record.id} />}
    </section>
  );
}

function Failed({ of }: { of: Run }): VNode {
  const done = (): void => {
    run.value = undefined;
    go(of.again);
  };
  return <Failure error={of.error!} again={done} label={of.error!.code === 'PLAN_CHANGED' ? 'Look again' : 'Back'} />;
}

function Stop({ id }: { id: string }): VNode {
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState<unknown>();
  const stop = (): void => {
    setAsked(true);
    rpc('cancel_restore', { p_id: id }).catch(setError);
  };
  return (
    <>
      {error !== undefined && <Failure error={toldError(error)} />}
      <button type="button" class="btn danger" disabled={asked} onClick={stop}>
        {asked ? 'Stopping…' : 'Stop the restore'}
      </button>
    </>
  );
}

function Elapsed({ since }: { since: number }): VNode {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  return <span class="n">{lasting(Math.max(0, now - since) / 1000)}</span>;
}
