import type { SupabaseClient } from '@supabase/supabase-js';
import type pg from 'pg';

import { StackFailure } from '../stack/failure.ts';
import type { Stack } from '../stack/stack.ts';
import { type BackupJob, type BackupProgress, backUp, type RestoreLog, restore, signIn } from './calls.ts';
import { total } from './compare.ts';
import { auditedSince, doDamage } from './damage.ts';
import { bar, count, counted, megabytes, rate, seconds, stopwatch } from './figures.ts';
import { sizeOf, type TableImages, takeImages } from './images.ts';
import { auditEntries, auditFires, countTypes } from './integrity.ts';
import { type Proof, prove, show, showDifferences } from './proof.ts';
import { figure, heading, live, say, table, verdict } from './screen.ts';
import { makeShop, SHOPS, VICTIM } from './shop.ts';

/** Takes one tenant through backup, damage and restore. Gives what did not turn out as promised. */
export async function tell(stack: Stack, client: pg.Client): Promise<string[]> {
  const before = await fill(client);
  const owner = stack.users.find((user) => user.email === VICTIM.owner);
  if (owner === undefined) throw new StackFailure(`the stack has no user ${VICTIM.owner}`);
  const api = await signIn(stack.url, stack.anonKey, owner);
  const job = await makeBackup(stack, api, sizeOf(before, VICTIM.id).rows);
  const damaged = await damage(client, api, before);
  const entries = await auditEntries(client);
  const { log, took } = await bringBack(api, job);
  return await check(client, before, { log, took, damaged, entries, job });
}

async function fill(client: pg.Client): Promise<TableImages[]> {
  heading('Three shops share one database');
  const watch = stopwatch();
  live('making tables and rows …');
  await makeShop(client, ({ name }) => live(`${name}'s rows are in`));
  const filled = watch();
  const images = await takeImages(client);
  const rowsOf = (tenant: string, { rows }: TableImages): number =>
    [...rows.values()].filter((row) => row.tenant === tenant).length;
  table([
    ['protected table', ...SHOPS.map(({ name }) => name)],
    ...images.map((one) => [one.name, ...SHOPS.map(({ id }) => count(rowsOf(id, one)))]),
    ['all', ...SHOPS.map(({ id }) => count(sizeOf(images, id).rows))],
  ]);
  say();
  const { rows, bytes } = sizeOf(images, VICTIM.id);
  figure('the tenant at work', `${VICTIM.name}: ${counted(rows, 'row')}, ${megabytes(bytes)} as text`);
  figure(
    'its columns',
    `${counted(await countTypes(client), 'type')}, from smallint and char(12) to xml and composites`,
  );
  figure('filled and protected in', seconds(filled));
  return images;
}

async function makeBackup(stack: Stack, api: SupabaseClient, rows: number): Promise<BackupJob> {
  heading(`${VICTIM.owner} signs in and makes a full backup`);
  say("   supabase.functions.invoke('backup-create', { body: { jobType: 'full' } })");
  const watch = stopwatch();
  const { begun, job } = await backUp(api, (progress) => live(backupLine(progress)));
  const took = watch();
  const { objects, bytes } = await storedUnder(stack, `tenants/${VICTIM.id}/backups/${job.id}/`);
  const progress = job.metadata.progress;
  figure('job', `${job.id}, "${begun.backupName}"`);
  figure(
    'backed up',
    `${counted(progress?.rows ?? 0, 'row')} in ${counted(progress?.tables ?? 0, 'table')}, ${megabytes(progress?.bytes ?? 0)}`,
  );
  figure(
    'time',
    `${seconds(took)} (estimated ${seconds(begun.estimatedDuration)}), ${rate(progress?.rows ?? 0, took)}`,
  );
  figure('archive in R2', `${counted(objects, 'object')}, ${megabytes(bytes)}`);
  if (progress?.rows !== rows)
    throw new StackFailure(`the backup has ${progress?.rows} rows, and ${VICTIM.name} has ${rows}`);
  return job;
}

async function damage(client: pg.Client, api: SupabaseClient, before: readonly TableImages[]): Promise<number> {
  heading(`A bad morning: ${VICTIM.name}'s data is damaged`);
  const watch = stopwatch();
  const entries = await lastEntry(client);
  const damages = await doDamage(client, api, VICTIM.id);
  table(damages.map(({ what, rows }) => [what, rows === 0 ? '–' : count(rows)]));
  const { insert = 0, update = 0, delete: deleted = 0 } = await auditedSince(client, entries);
  say();
  figure(
    'seen by the audit triggers',
    `${count(deleted)} deletes, ${count(update)} updates, ${count(insert)} inserts (cascades included)`,
  );
  figure('done in', seconds(watch()));

  heading('Can the proof fail? The same proof, before the restore');
  const proof = await prove(client, before, VICTIM.id);
  showDifferences(proof.mine, 0);
  say();
  const failed = show(proof, VICTIM.name);
  const seen = (['missing', 'changed', 'stray'] as const).every((kind) => proof.mine.some((one) => one[kind] > 0));
  if (!seen || failed.length < 2 || total(proof.others) > 0)
    throw new StackFailure('the proof does not see the damage, or sees damage elsewhere: it is worth nothing');
  say();
  say(`   It can: it finds the damage, and finds it with ${VICTIM.name} only.`);
  return total(proof.mine);
}

async function bringBack(api: SupabaseClient, job: BackupJob): Promise<{ log: RestoreLog; took: number }> {
  heading(`${VICTIM.owner} restores the backup`);
  say("   supabase.functions.invoke('backup-restore', { body: { backupJobId, confirmRestore: true } })");
  const watch = stopwatch();
  const log = await restore(api, job.id, (running) => live(restoreLine(running)));
  const took = watch();
  const { stats } = log;
  figure('restore', log.id);
  figure(
    'read back and verified',
    `${counted(job.metadata.progress?.rows ?? 0, 'row')} of ${counted(job.metadata.progress?.chunks ?? 0, 'chunk')}`,
  );
  figure('written', `only the difference: ${counted(log.rows_restored ?? 0, 'row')}`);
  figure(
    '',
    `${count(stats?.insertCount ?? 0)} inserted, ${count(stats?.updateCount ?? 0)} updated, ${count(stats?.deleteCount ?? 0)} deleted`,
  );
  figure('time', `${seconds(took)}, ${rate(job.metadata.progress?.rows ?? 0, took)}`);
  for (const warning of log.warnings) figure('warning', warning);
  return { log, took };
}

/** What the parts before have found. */
interface SoFar {
  log: RestoreLog;
  took: number;
  damaged: number;
  entries: number;
  job: BackupJob;
}

async function check(
  client: pg.Client,
  before: readonly TableImages[],
  { log, took, damaged, entries, job }: SoFar,
): Promise<string[]> {
  heading('The proof');
  const grown = (await auditEntries(client)) - entries;
  const proof: Proof = await prove(client, before, VICTIM.id);
  const failed = show(proof, VICTIM.name);
  const further = (holds: boolean, what: string, details: string): void => {
    verdict(holds, what, details);
    if (!holds) failed.push(what);
  };
  further(
    grown === 0,
    "the application's triggers were silent",
    `audit log: ${counted(entries, 'entry', 'entries')}, ${grown} of them from the restore`,
  );
  further(await auditFires(client, VICTIM.id), '… and fire again', 'tried with an update, rolled back');
  further(
    log.rows_restored === damaged,
    'it wrote the differing rows and no other',
    `${counted(damaged, 'row')} differed, ${count(log.rows_restored ?? 0)} were written`,
  );
  const left = log.warnings.filter((warning) => !warning.includes('the trigger "audit"'));
  further(left.length === 0, 'nothing was left as it was', counted(left.length, 'warning'));
  further(
    left.length < log.warnings.length,
    'it named what it does not take back',
    `the audit log's entries of ${counted(log.warnings.length - left.length, 'table')}`,
  );
  for (const differences of [proof.mine, proof.others]) {
    if (total(differences) > 0) showDifferences(differences, 3);
  }

  heading('Summary');
  figure(
    'backup',
    `${counted(proof.sizes.mine, 'row')} in ${seconds(Number(job.duration_seconds))}, ${megabytes(job.backup_size_bytes ?? 0)} stored`,
  );
  figure('restore', `${counted(damaged, 'damaged row')} in ${seconds(took)}`);
  return failed;
}

function backupLine({ rows, estimated_rows, stored_bytes, current_table }: BackupProgress): string {
  return `${bar(rows, estimated_rows)}  ${count(rows)} rows, ${megabytes(stored_bytes)} stored  ${current_table ?? 'writing the manifest'}`;
}

function restoreLine({ metadata: { progress } }: RestoreLog): string {
  const { rows = 0, total_rows = 0 } = progress ?? {};
  return rows < total_rows || total_rows === 0
    ? `${bar(rows, total_rows)}  ${count(rows)} rows read back and verified`
    : `${bar(rows, total_rows)}  all verified; writing the difference in one transaction`;
}

async function storedUnder(stack: Stack, prefix: string): Promise<{ objects: number; bytes: number }> {
  let objects = 0;
  let bytes = 0;
  let cursor: string | undefined;
  do {
    const page = await stack.archives.list({ prefix, cursor });
    objects += page.objects.length;
    bytes += page.objects.reduce((sum, { size }) => sum + size, 0);
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return { objects, bytes };
}

async function lastEntry(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ last: number }>('select coalesce(max(id), 0)::int as last from shop.audit_log');
  return rows[0]?.last ?? 0;
}
