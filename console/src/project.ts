// The object that m23-client asks for, made of the parts of supabase-js that it uses.
import { PostgrestClient } from '@supabase/postgrest-js';

import { createM23 } from '../../client/src/create.ts';
import type { Database } from '../../client/src/generated/database.ts';
import type { M23 } from '../../client/src/m23.ts';
import { read as readQuery, type SupabaseLike } from '../../client/src/supabase.ts';
import type { Config } from './config.ts';
import { accessToken } from './session.ts';

type Functions = Database['public']['Functions'];

/** The typed client of M23. */
export let m23: M23;
let rest: PostgrestClient<Database>;

/** Connects the page to its project. */
export function openProject({ address, anonKey }: Config): void {
  const signed: typeof fetch = async (input, init = {}) => {
    const headers = new Headers(init.headers);
    headers.set('apikey', anonKey);
    headers.set('authorization', `Bearer ${(await accessToken()) ?? anonKey}`);
    return await fetch(input, { ...init, headers });
  };
  rest = new PostgrestClient<Database>(`${address}/rest/v1`, { fetch: signed });
  const like: SupabaseLike = {
    from: (relation) => rest.from(relation as never),
    rpc: (name, args) => rest.rpc(name as never, args as never),
    functions: { invoke: (name, options) => invoke(signed, `${address}/functions/v1/${name}`, options) },
  };
  m23 = createM23(like);
}

/** Calls a function of the database that m23-client has no name for. */
export async function rpc<Name extends keyof Functions>(
  name: Name,
  args: Functions[Name]['Args'],
  signal?: AbortSignal,
): Promise<Functions[Name]['Returns']> {
  return await readQuery(rest.rpc(name as never, args as never) as never, { signal });
}

/** Reads rows of a table of M23: `choose` narrows the query. */
export async function rows<Row>(
  table: keyof Database['public']['Tables'],
  choose: (query: Choosing) => Choosing,
  signal?: AbortSignal,
): Promise<Row[]> {
  return await readQuery(choose(rest.from(table).select('*') as never) as never, { signal });
}

/** The part of a query that the page uses. */
export interface Choosing {
  eq(column: string, value: string | boolean): Choosing;
  order(column: string, options: { ascending: boolean }): Choosing;
  limit(count: number): Choosing;
}

interface InvokeOptions {
  body?: object;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

async function invoke(
  send: typeof fetch,
  address: string,
  { body, headers, signal }: InvokeOptions = {},
): Promise<{ data: unknown; error: unknown }> {
  try {
    const response = await send(address, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: signal ?? null,
    });
    if (response.ok) return { data: await response.json(), error: null };
    return { data: null, error: { context: response } };
  } catch (error) {
    return { data: null, error };
  }
}
