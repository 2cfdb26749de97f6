// The client when the network fails, when its caller gives up, and when an answer comes before the work's end.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import type { M23, M23Error } from '../../client/src/index.ts';
import { backUp, failure, type User, userOf } from '../fixtures/client.ts';
import { NOWHERE } from '../fixtures/people.ts';
import { openStack } from '../fixtures/stack.ts';

type Network = typeof fetch;

const { stack, client: database } = await openStack();

/** An owner whose requests to an address that contains `part` are answered by `answer`; it gets how many there were before. */
async function behind(
  part: string,
  answer: (count: number, ...request: Parameters<Network>) => Promise<Response>,
): Promise<User & { sent: () => number }> {
  let sent = 0;
  const person = await userOf(stack, 0, 'owner', async (...request) => {
    if (!String(request[0]).includes(part)) return await fetch(...request);
    sent += 1;
    return await answer(sent - 1, ...request);
  });
  return { ...person, sent: () => sent };
}

/** One whose first calls of the functions are answered, and whose answers are lost. */
async function losing(failures: number): Promise<User & { sent: () => number }> {
  return await behind('/functions/', async (count, ...request) => {
    const response = await fetch(...request);
    if (count < failures) throw new TypeError('connection lost');
    return response;
  });
}

/** Every function of the client, called with a signal. */
function callsOf(m23: M23, signal: AbortSignal): Record<keyof M23, Promise<unknown>> {
  const plan = {
    plan_name: '',
    rto_minutes: 1,
    rpo_minutes: 1,
    backup_frequency: '',
    backup_types: [],
    retention_days: 1,
    test_frequency: '',
  };
  return {
    getBackupJobs: m23.getBackupJobs({ signal }),
    createBackupJob: m23.createBackupJob({ jobType: 'full', backupName: 'x' }, { signal }),
    executeBackup: m23.executeBackup(NOWHERE, { signal }),
    getBackupById: m23.getBackupById(NOWHERE, { signal }),
    watchBackup: m23.watchBackup(NOWHERE, { signal }),
    executeRestore: m23.executeRestore({ backupJobId: NOWHERE, confirmRestore: true }, { signal }),
    getRestoreLogs: m23.getRestoreLogs({ signal }),
    watchRestore: m23.watchRestore(NOWHERE, { signal }),
    executePITR: m23.executePITR({ targetTimestamp: '', dryRun: true }, { signal }),
    getPITRPreview: m23.getPITRPreview(new Date(), undefined, undefined, { signal }),
    lookAtPITR: m23.lookAtPITR(new Date(), { signal }),
    getTransactionLogs: m23.getTransactionLogs({ signal }),
    getChangeHistogram: m23.getChangeHistogram(new Date(), new Date(), { signal }),
    getEvents: m23.getEvents(new Date(), new Date(), { signal }),
    getTransactions: m23.getTransactions({ signal }),
    getTransaction: m23.getTransaction('1', { signal }),
    findRows: m23.findRows('', { signal }),
    getRowHistory: m23.getRowHistory('', {}, { signal }),
    getPITRStats: m23.getPITRStats(new Date(), undefined, { signal }),
    executePITRRollback: m23.executePITRRollback(NOWHERE, '', true, { signal }),
    getActivePITRSnapshots: m23.getActivePITRSnapshots({ signal }),
    watchRollback: m23.watchRollback(NOWHERE, { signal }),
    fetchDRPlans: m23.fetchDRPlans({ signal }),
    createDRPlan: m23.createDRPlan(plan, { signal }),
    executeRecoveryTest: m23.executeRecoveryTest(
      { test_name: 'x', test_type: 'manual', validation_level: 'basic' },
      { signal },
    ),
    fetchHealthSnapshots: m23.fetchHealthSnapshots({ signal }),
    calculateHealthScore: m23.calculateHealthScore(undefined, undefined, { signal }),
    watchRecoveryTest: m23.watchRecoveryTest(NOWHERE, { signal }),
  };
}

describe('an abort', () => {
  test('before a call sends nothing, and rejects with its reason', async () => {
    const { m23, sent } = await behind('/', (_, ...request) => fetch(...request));
    const signedIn = sent();
    const reason = new Error('changed my mind');
    const calls = callsOf(m23, AbortSignal.abort(reason));
    assert.deepEqual(Object.keys(calls).sort(), Object.keys(m23).sort());
    const ends = await Promise.allSettled(Object.values(calls));
    for (const end of ends) assert.deepEqual(end, { status: 'rejected', reason });
    assert.equal(sent(), signedIn);
  });

  test('during a call ends the request itself', async () => {
    const reason = new Error('too long');
    const signals: AbortSignal[] = [];
    const abort = new AbortController();
    const { m23 } = await behind('/v1/', (_, url, init) => {
      if (String(url).includes('/auth/')) return fetch(url, init);
      signals.push(init!.signal!);
      return new Promise((_resolve, reject) =>
        init!.signal!.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError'))),
      );
    });
    const calls = Object.values(callsOf(m23, abort.signal));
    const ends = Promise.allSettled(calls);
    while (signals.length < calls.length) await new Promise((resolve) => setImmediate(resolve));
    abort.abort(reason);
    for (const end of await ends) assert.deepEqual(end, { status: 'rejected', reason });
    assert.ok(signals.every(({ aborted }) => aborted));
  });

  test('during the wait ends the wait; the work goes on', async () => {
    const { m23 } = await userOf(stack, 0, 'operator');
    const job = await m23.createBackupJob({ jobType: 'full', backupName: 'left alone' });
    const abort = new AbortController();
    const waiting = m23.executeBackup(job.id, { signal: abort.signal, onProgress: () => abort.abort() });
    await assert.rejects(waiting, { name: 'AbortError' });
    assert.equal((await m23.watchBackup(job.id)).status, 'completed');
  });

  test('before another attempt ends the attempts', async () => {
    const reason = new Error('enough');
    const abort = new AbortController();
    const { m23, sent } = await behind('/functions/', async () => {
      setImmediate(() => abort.abort(reason));
      throw new TypeError('connection lost');
    });
    await assert.rejects(m23.executeBackup(NOWHERE, { idempotencyKey: randomUUID(), signal: abort.signal }), reason);
    assert.equal(sent(), 1);
  });

  test('of a preview ends its pages', async () => {
    const { supabase, m23, tenantId } = await userOf(stack, 0, 'owner');
    const at = new Date();
    const rows = Array.from({ length: 101 }, (_, n) => ({ tenant_id: tenantId, name: `stray ${n}` }));
    assert.equal((await supabase.from('customers').insert(rows)).error, null);
    const preview = await m23.getPITRPreview(at);
    const reason = new Error('seen enough');
    await assert.rejects(async () => {
      for await (const _ of preview.rows('customers', { signal: AbortSignal.abort(reason) })) {
        // Until it ends.
      }
    }, reason);
  });
});

describe('a call that got no answer', () => {
  test('is repeated when it has an idempotency key, and its work is done once', async () => {
    const { m23, sent } = await losing(1);
    const job = await m23.createBackupJob({ jobType: 'full', backupName: 'once' });
    const done = await m23.executeBackup(job.id, { idempotencyKey: randomUUID() });
    assert.deepEqual([done.jobId, done.status, sent()], [job.id, 'completed', 2]);
  });

  test('is not repeated without one', async () => {
    const { m23, sent } = await losing(1);
    const job = await m23.createBackupJob({ jobType: 'full', backupName: 'perhaps' });
    const lost = await failure(m23.executeBackup(job.id));
    assert.deepEqual([lost.code, lost.status, sent()], ['UNAVAILABLE', 0, 1]);
    assert.equal((await m23.watchBackup(job.id)).status, 'completed');
  });

  test('is given up after some attempts', async () => {
    const { m23, sent } = await losing(Infinity);
    assert.equal((await failure(m23.executeBackup(NOWHERE, { idempotencyKey: randomUUID() }))).code, 'UNAVAILABLE');
    assert.equal(sent(), 4);
  });

  test('is an error of the same kind where it was for the database', async () => {
    const { m23 } = await behind('/rest/', async () => {
      throw new TypeError('connection lost');
    });
    for (const call of [m23.createBackupJob({ jobType: 'full', backupName: 'x' }), m23.calculateHealthScore()]) {
      const { code, status } = await failure(call);
      assert.deepEqual([code, status], ['UNAVAILABLE', 0]);
    }
  });
});

describe('an answer', () => {
  const key = { idempotencyKey: NOWHERE };

  test('that refuses is final, with a key too', async () => {
    const { m23, sent } = await behind('/functions/', (_, ...request) => fetch(...request));
    assert.equal((await failure(m23.executeBackup(NOWHERE, key))).code, 'BACKUP_NOT_FOUND');
    assert.equal(sent(), 1);
  });

  test('that asks to come back much later is handed on at once', async () => {
    const { m23, sent } = await behind('/functions/', async () =>
      Response.json(
        { success: false, error: 'Later.', code: 'UNAVAILABLE' },
        { status: 503, headers: { 'retry-after': '3600' } },
      ),
    );
    const { code, retryAfter, message } = await failure(m23.executeBackup(NOWHERE, key));
    assert.deepEqual([code, retryAfter, message, sent()], ['UNAVAILABLE', 3600, 'Later.', 1]);
  });

  test('that asks to come back soon is followed when it is time', async () => {
    const { m23, sent } = await behind('/functions/', async (count, ...request) =>
      count === 0
        ? Response.json(
            { success: false, error: 'Soon.', code: 'UNAVAILABLE' },
            { status: 503, headers: { 'retry-after': '0' } },
          )
        : await fetch(...request),
    );
    assert.equal(
      (await failure(m23.executeBackup(NOWHERE, { idempotencyKey: randomUUID() }))).code,
      'BACKUP_NOT_FOUND',
    );
    assert.equal(sent(), 2);
  });

  test('of something else on the way is an error of the same kind', async () => {
    const inAMinute = new Date(Date.now() + 60_000).toUTCString();
    const answers: [Response, Partial<M23Error>][] = [
      [
        new Response('<h1>Bad gateway</h1>', { status: 502, headers: { 'retry-after': inAMinute } }),
        { code: 'UNAVAILABLE', status: 502 },
      ],
      [new Response('', { status: 504 }), { code: 'UNAVAILABLE', status: 504, retryAfter: undefined }],
      [new Response('nothing here', { status: 404 }), { code: 'NOT_FOUND', status: 404 }],
      [
        Response.json({ message: 'no' }, { status: 401, headers: { 'x-request-id': 'r-1' } }),
        { code: 'AUTH_REQUIRED', status: 401, requestId: 'r-1' },
      ],
      [Response.json(['odd'], { status: 418 }), { code: 'INTERNAL', status: 418, details: [] }],
      [Response.json(null, { status: 500, headers: { 'x-relay-error': 'true' } }), { code: 'INTERNAL', status: 500 }],
    ];
    for (const [response, wanted] of answers) {
      const { m23 } = await behind('/functions/', async () => response);
      const error = await failure(m23.executeBackup(NOWHERE));
      assert.partialDeepStrictEqual({ ...error }, wanted);
      assert.match(error.message, /[.]$/);
      if (response.status === 502)
        assert.ok(error.retryAfter! > 0 && error.retryAfter! <= 60, String(error.retryAfter));
    }
  });
});

describe('work that goes on after its call was answered', () => {
  /** An owner whose calls of the functions are answered with 202, though their work is done; `answers` gets the real answers. */
  async function answeredEarly(answers: object[] = []): Promise<User> {
    return await behind('/functions/', async (_, ...request) => {
      const { success, restoreLogId, rollbackId, testId, ...rest } = (await (await fetch(...request)).json()) as Record<
        string,
        unknown
      >;
      answers.push({ success, restoreLogId, rollbackId, testId, ...rest });
      return Response.json({ success, restoreLogId, rollbackId, testId, status: 'in_progress' }, { status: 202 });
    });
  }

  test('gives in the end what it would have given at once', async () => {
    const answers: Record<string, unknown>[] = [];
    const person = await answeredEarly(answers);
    const { supabase, m23 } = person;
    const backup = await backUp(await userOf(stack, 0, 'owner'));
    const at = backup.completed_at!;
    const damage = async (): Promise<void> =>
      assert.equal((await supabase.from('customers').delete().lt('id', 4)).error, null);
    await damage();
    const restored = await m23.executeRestore({ backupJobId: backup.id, confirmRestore: true });
    await damage();
    const back = await m23.executePITR({ targetTimestamp: at, confirmRestore: true });
    const undone = await m23.executePITRRollback(back.snapshotId!);
    const proved = await m23.executeRecoveryTest({
      backup_job_id: backup.id,
      test_name: 'x',
      test_type: 'manual',
      validation_level: 'basic',
    });
    for (const [index, given] of [restored, back, undone, proved].entries()) {
      const { planHash: _, ...answer } = answers[index]!;
      assert.deepEqual(given, JSON.parse(JSON.stringify(answer)));
    }
  });

  test('and ended badly is an error that names its row', async () => {
    for (const [status, code] of [
      ['failed', 'WORK_FAILED'],
      ['cancelled', 'WORK_CANCELLED'],
    ] as const) {
      const { m23 } = await behind('/functions/', async (_, ...request) => {
        const answer = (await (await fetch(...request)).json()) as { testId: string };
        await database.query(
          `update public.recovery_tests set status = $1, error_message = 'It was not to be.' where id = $2`,
          [status, answer.testId],
        );
        return Response.json({ ...answer, status: 'in_progress' }, { status: 202 });
      });
      const ended = await failure(
        m23.executeRecoveryTest({ test_name: status, test_type: 'manual', validation_level: 'basic' }),
      );
      const {
        rows: [row],
      } = await database.query<{ id: string }>('select id from public.recovery_tests where test_name = $1', [status]);
      assert.deepEqual([ended.code, ended.message, ended.details], [code, 'It was not to be.', [`id: ${row?.id}`]]);
    }
  });

  test('is followed while the service is away, for a while', async () => {
    const { id } = await backUp(await userOf(stack, 0, 'owner'));
    const away = async (): Promise<Response> => new Response('Bad gateway', { status: 502 });
    const sometimes = await behind('/rest/v1/backup_jobs', (count, ...request) =>
      count < 3 ? away() : fetch(...request),
    );
    assert.equal((await sometimes.m23.watchBackup(id)).status, 'completed');
    const { m23 } = await behind('/rest/v1/backup_jobs', away);
    assert.equal((await failure(m23.watchBackup(id))).code, 'UNAVAILABLE');
  });
});
