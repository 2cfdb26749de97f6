import { backups } from './backups.ts';
import { history } from './history.ts';
import type { M23 } from './m23.ts';
import { pitr } from './pitr.ts';
import { recovery } from './recovery.ts';
import { restores } from './restores.ts';
import { type Project, projectOf, type SupabaseLike } from './supabase.ts';

/** The functions of M23, bound to a supabase-js client. */
export function createM23(supabase: SupabaseLike): M23 {
  return bind(() => projectOf(supabase));
}

/** The functions on whatever client `project` gives when they are called. */
export function bind(project: () => Project): M23 {
  return { ...backups(project), ...restores(project), ...pitr(project), ...history(project), ...recovery(project) };
}
