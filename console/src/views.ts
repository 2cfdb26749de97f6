// Which views there are, and for whom.
import type { ComponentType } from 'preact';

import { mayLook, roleIn } from './member.ts';
import type { IconName } from './parts/icon.tsx';
import { Backups } from './views/backups/backups.tsx';
import { Find } from './views/find/find.tsx';
import { RowHistory } from './views/find/row.tsx';
import { Preview } from './views/preview/preview.tsx';
import { Restores } from './views/restores/restores.tsx';
import { Timeline } from './views/timeline/timeline.tsx';

/** A view of one tenant. */
export type View = ComponentType<{ tenant: string }>;

/** An entry of the navigation. */
export interface Entry {
  readonly view: string;
  readonly title: string;
  readonly short: string;
  readonly icon: IconName;
  /** The key after G. */
  readonly key: string;
  /** Views that belong to it. */
  readonly also?: readonly string[];
}

const LOOKING: ReadonlySet<string> = new Set(['timeline', 'preview', 'find', 'row']);

const VIEWS: Readonly<Record<string, View>> = {
  timeline: Timeline,
  preview: Preview,
  find: Find,
  row: RowHistory,
  restores: Restores,
  backups: Backups,
};

const GROUPS: readonly (readonly [string, readonly Entry[]])[] = [
  [
    'Recover',
    [
      { view: 'timeline', title: 'Timeline', short: 'Timeline', icon: 'timeline', key: 't', also: ['preview'] },
      { view: 'find', title: 'Find a row', short: 'Find', icon: 'find', key: 'f', also: ['row'] },
      { view: 'restores', title: 'Restores', short: 'Restores', icon: 'restore', key: 'r' },
    ],
  ],
  ['Prove', [{ view: 'backups', title: 'Backups & proof', short: 'Proof', icon: 'proof', key: 'b' }]],
];

/** The navigation, without what the person's role may not see. */
export function groups(): [string, Entry[]][] {
  return GROUPS.map(([title, entries]) => [title, entries.filter(({ view }) => maySee(view))]);
}

/** Where somebody begins who has chosen nothing. */
export function firstView(tenant: string): string {
  return roleIn(tenant) === 'viewer' ? 'backups' : 'timeline';
}

/** A view by its name; undefined if there is none for the person's role. */
export function viewOf(name: string): View | undefined {
  return Object.hasOwn(VIEWS, name) && maySee(name) ? VIEWS[name] : undefined;
}

function maySee(view: string): boolean {
  return mayLook.value || !LOOKING.has(view);
}
