import { createClient } from '@supabase/supabase-js';

import { DEMO_TABLE, DEMO_USERS } from './demo-tenants.ts';
import { StackFailure } from './failure.ts';
import { FUNCTIONS } from './wrangler-config.ts';

/** Shows that the stack works: somebody signs in, reads a table and reaches a function. */
export async function checkReady(url: string, anonKey: string, hasDemoTables: boolean): Promise<void> {
  const client = createClient(url, anonKey, { auth: { persistSession: false, autoRefreshToken: false } });
  const { email, password } = DEMO_USERS[0]!;
  const signIn = await client.auth.signInWithPassword({ email, password });
  if (signIn.error) throw new StackFailure(`the stack is up, but signing in fails: ${signIn.error.message}`);
  if (hasDemoTables) {
    const { data, error } = await client.from(DEMO_TABLE).select('*').limit(1);
    if (error) throw new StackFailure(`the stack is up, but reading ${DEMO_TABLE} fails: ${error.message}`);
    if (!Array.isArray(data)) throw new StackFailure(`the stack is up, but ${DEMO_TABLE} cannot be read`);
  }
  const preflight = await fetch(`${url}/functions/v1/${FUNCTIONS[0]}`, {
    method: 'OPTIONS',
    signal: AbortSignal.timeout(10_000),
  });
  await preflight.arrayBuffer();
  if (preflight.status >= 500)
    throw new StackFailure(`the stack is up, but ${FUNCTIONS[0]} answers ${preflight.status}`);
}
