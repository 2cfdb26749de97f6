// Where the page is: all of it stands in the address, behind the #, so that a link is a hand-over.
import { computed, signal } from '@preact/signals';

/** A view of a tenant, and what is chosen in it. */
export interface Place {
  readonly tenant: string | undefined;
  readonly view: string;
  /** What follows the view: an id, or a table and a key. */
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
}

const hash = signal(location.hash);
addEventListener('hashchange', () => {
  hash.value = location.hash;
});

/** The place, as the address has it. */
export const place = computed(() => parse(hash.value));

/** Reads an address behind the #. */
export function parse(text: string): Place {
  const [path = '', query = ''] = text.replace(/^#\/?/, '').split('?');
  const parts = path.split('/').map(decoded);
  const [first, tenant, view = '', ...rest] = parts;
  const known = first === 't' && tenant !== undefined && tenant !== '';
  return { tenant: known ? tenant : undefined, view: known ? view : '', rest, query: new URLSearchParams(query) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a place. */
export function linkTo(
  tenant: string,
  path: readonly string[],
  query: Record<string, string | undefined> = {},
): string {
  const chosen = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const asked = new URLSearchParams(chosen).toString();
  return `#/t/${[tenant, ...path].map(encodeURIComponent).join('/')}${asked === '' ? '' : `?${asked}`}`;
}

/** Goes to an address; the way back leads here. */
export function go(link: string): void {
  location.hash = link;
}

/** Changes what is chosen, without a step in the browser's history. */
export function choose(change: Record<string, string | undefined>): void {
  const { tenant, view, rest, query } = place.peek();
  if (tenant === undefined) return;
  const next = { ...Object.fromEntries(query), ...change };
  history.replaceState(null, '', linkTo(tenant, [view, ...rest], next));
  hash.value = location.hash;
}
