import { M23Error } from './errors.ts';
import type { CallOptions } from './options.ts';
import { type Project, read } from './supabase.ts';

/** The tenant that is given, else the caller's. */
export async function tenantOr(project: Project, tenantId: string | undefined, options: CallOptions): Promise<string> {
  if (tenantId !== undefined) return tenantId;
  const own: string | null = await read(project.rpc('get_current_tenant'), options);
  if (own !== null) return own;
  throw new M23Error('You belong to no tenant, or to several and have picked none of them.', {
    code: 'TENANT_NOT_FOUND',
    status: 403,
  });
}
