// In which tenants the person is, and as what.
import { computed, signal } from '@preact/signals';

import type { Database } from '../../client/src/generated/database.ts';
import { place } from './place.ts';
import { rows, rpc } from './project.ts';
import { session } from './session.ts';

/** A role in a tenant. */
export type Role = 'owner' | 'admin' | 'operator' | 'viewer';
type Member = Database['public']['Tables']['tenant_members']['Row'];

/** Everybody who belongs to the person's tenants; undefined until it is known. */
export const members = signal<readonly Member[] | undefined>(undefined);

/** The tenant that the edge functions work for, which the token decides; null if it is not decided. */
const current = signal<string | null>(null);

/** Reads the memberships. */
export async function readMembers(signal?: AbortSignal): Promise<void> {
  const [all, tenant] = await Promise.all([
    rows<Member>('tenant_members', (query) => query, signal),
    rpc('get_current_tenant', {}, signal),
  ]);
  current.value = tenant;
  members.value = all;
}

/** The person's own memberships. */
export const own = computed(() => (members.value ?? []).filter((one) => one.user_id === session.value?.user.id));

/** What the person is in a tenant; undefined if nothing. */
export function roleIn(tenant: string | undefined): Role | undefined {
  return own.value.find(({ tenant_id }) => tenant_id === tenant)?.role as Role | undefined;
}

/** What the person is in the tenant of the place. */
export const role = computed(() => roleIn(place.value.tenant));

/** Whether the person may look at rows. */
export const mayLook = computed(() => role.value !== undefined && role.value !== 'viewer');
/** Whether what the person begins is done to the tenant of the place, and to no other that they belong to. */
export const isCurrent = computed(() => current.value !== null && current.value === place.value.tenant);
/** Whether the person may back up and test. */
export const mayWork = computed(() => mayLook.value && isCurrent.value);
/** Whether the person may change rows back. */
export const mayRestore = computed(() => isCurrent.value && (role.value === 'owner' || role.value === 'admin'));

/** Who did something, as far as the page knows: names are the application's. */
export function whoIs(user: string | null): string {
  if (user === null) return 'No signed-in user';
  if (user === session.value?.user.id) return 'You';
  const known = members.value?.find((one) => one.user_id === user && one.tenant_id === place.value.tenant);
  const short = user.slice(0, 8);
  return known === undefined ? `User ${short}` : `${capital(known.role)} ${short}`;
}

/** The same inside a sentence. */
export function byWhom(user: string | null): string {
  const name = whoIs(user);
  return name.charAt(0).toLowerCase() + name.slice(1);
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** What stands for a tenant on the page and is typed before a restore: its key, of a uuid the first eight letters. */
export function shortName(tenant: string): string {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-/i.test(tenant) ? tenant.slice(0, 8) : tenant;
}
