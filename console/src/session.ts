// Who is signed in. auth-js keeps the session, refreshes it and shares it between tabs.

import { signal } from '@preact/signals';
import { type AuthChangeEvent, AuthClient, type Session } from '@supabase/auth-js';

import type { Config } from './config.ts';

/** The session: undefined until it is known, null when nobody is signed in. */
export const session = signal<Session | null | undefined>(undefined);
/** Whether somebody was signed in on this page and is not any more. */
export const lost = signal(false);

let auth: InstanceType<typeof AuthClient>;

/** Begins to follow the session. */
export function openSession({ address, anonKey }: Config): void {
  auth = new AuthClient({
    url: `${address}/auth/v1`,
    headers: { apikey: anonKey },
    storageKey: `sb-${new URL(address).hostname.split('.')[0]}-auth-token`,
    detectSessionInUrl: false,
  });
  auth.onAuthStateChange((event: AuthChangeEvent, now: Session | null) => {
    if (now === null && session.peek()) lost.value = event !== 'SIGNED_OUT' || lost.peek();
    session.value = now;
    if (now !== null) lost.value = false;
  });
}

/** A token that is good now; the refresh is auth-js's. */
export async function accessToken(): Promise<string | undefined> {
  return (await auth.getSession()).data.session?.access_token;
}

/** Signs in; throws with a sentence for a person. */
export async function signIn(email: string, password: string): Promise<void> {
  const { error } = await auth.signInWithPassword({ email, password });
  if (error === null) return;
  throw new Error(error.status === 400 ? 'Email or password is wrong.' : 'Signing in did not work. Try again.');
}

/** Signs out, here and in the other tabs. */
export async function signOut(): Promise<void> {
  lost.value = false;
  await auth.signOut({ scope: 'local' });
  session.value = null;
}

/** An answer said that the session is over: the page asks to sign in again, and keeps what is chosen. */
export function sessionEnded(): void {
  if (session.peek()) lost.value = true;
}
