import { createClient } from '@supabase/supabase-js';

const { SUPABASE_URL, ANON_KEY, EMAIL, PASSWORD } = process.env;

/** A client that is signed in as the user of the environment. */
export async function signIn() {
  const supabase = createClient(SUPABASE_URL, ANON_KEY, { auth: { persistSession: false, autoRefreshToken: false } });
  const { error } = await supabase.auth.signInWithPassword({ email: EMAIL, password: PASSWORD });
  if (error) throw new Error(error.message);
  return supabase;
}

/** What a query gives, or its error thrown. */
export async function must(query) {
  const { data, error } = await query;
  if (error) throw new Error(error.message, { cause: error });
  return data;
}
