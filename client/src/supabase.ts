import type { SupabaseClient } from '@supabase/supabase-js';

import { fromFunctions, fromPostgrest, M23Error, type PostgrestFailure } from './errors.ts';
import type { Database } from './generated/database.ts';
import type { CallOptions, RequestOptions } from './options.ts';
import { pause, unlessAborted } from './pause.ts';

/** Any supabase-js client, whatever database types it was made with. */
export interface SupabaseLike {
  from(relation: string): unknown;
  rpc(name: string, args?: object, options?: object): unknown;
  readonly functions: { invoke(name: string, options?: object): unknown };
}

/** A client as the functions here use it: with the types of M23's own tables. */
export type Project = SupabaseClient<Database>;

/** The same client, seen with our types. */
export function projectOf(supabase: SupabaseLike): Project {
  return supabase as unknown as Project;
}

type FunctionName = 'backup-create' | 'backup-restore' | 'pitr-restore' | 'pitr-rollback' | 'recovery-test';

interface Query<Data> extends PromiseLike<{ data: Data | null; error: PostgrestFailure | null; status: number }> {
  abortSignal(signal: AbortSignal): PromiseLike<{ data: Data | null; error: PostgrestFailure | null; status: number }>;
}

/** How often a request with an idempotency key is sent at most. */
const ATTEMPTS = 4;
/** Who is told to come back later than this is told so, and not kept waiting. */
const LONGEST_PAUSE_SECONDS = 30;

/** Sends a query of PostgREST; throws an {@link M23Error}. */
export async function read<Data>(query: Query<Data>, { signal }: CallOptions): Promise<Data> {
  const { data, error, status } = await unlessAborted(signal === undefined ? query : query.abortSignal(signal), signal);
  if (error !== null) throw fromPostgrest(error, status);
  return data as Data;
}

/** Calls one of the five functions; throws an {@link M23Error}. */
export async function invoke<Answer>(
  project: Project,
  name: FunctionName,
  body: object,
  options: RequestOptions,
): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await send<Answer>(project, name, body, options);
    if (!(outcome instanceof M23Error)) return outcome;
    const seconds = outcome.retryAfter ?? 2 ** (attempt - 2);
    const again =
      options.idempotencyKey !== undefined &&
      outcome.code === 'UNAVAILABLE' &&
      attempt < ATTEMPTS &&
      seconds <= LONGEST_PAUSE_SECONDS;
    if (!again) throw outcome;
    await pause(seconds * 1000, options.signal);
  }
}

async function send<Answer>(
  project: Project,
  name: FunctionName,
  body: object,
  { idempotencyKey, signal }: RequestOptions,
): Promise<Answer | M23Error> {
  signal?.throwIfAborted();
  const headers: Record<string, string> = idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey };
  const sent = project.functions.invoke<Answer>(name, { body, headers, ...(signal === undefined ? {} : { signal }) });
  const { data, error } = await unlessAborted(sent, signal);
  return error === null ? (data as Answer) : await fromFunctions(error);
}
