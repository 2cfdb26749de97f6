import type { VNode } from 'preact';

const PATHS = {
  mark: 'M3 10a7 7 0 1 0 2.2-5.1M3 3v3.4h3.4M10 6.2V10l2.6 1.6',
  timeline: 'M3 11h14M5 11V8M8 11V4M11 11V7M11 11v5M14 11V9M14 11v2',
  find: 'M14 9A5 5 0 1 1 4 9a5 5 0 0 1 10 0ZM13 13l4 4',
  restore: 'M4 8h8.500a3.500 3.500 0 0 1 0 7H8M7 5 4 8l3 3',
  backup: 'M6.500 10a2 2 0 1 1-4 0 2 2 0 0 1 4 0ZM17.500 10a2 2 0 1 1-4 0 2 2 0 0 1 4 0ZM6.500 10h7',
  proof:
    'M10 3 4.500 5v4.500c0 3.500 2.300 6 5.500 7.500 3.200-1.500 5.500-4 5.500-7.500V5ZM7.500 10l1.800 1.800L12.700 8',
  warn: 'M10 3.500 17.500 16.500h-15ZM10 8.500v3.500M10 14.200v.1',
  bad: 'M7 3h6l4 4v6l-4 4H7l-4-4V7ZM10 6.500v4.500M10 13.700v.1',
  ok: 'M17 10a7 7 0 1 1-14 0 7 7 0 0 1 14 0ZM6.800 10.200 9 12.400l4.200-4.600',
  run: 'M10 3a7 7 0 1 1-7 7',
  none: 'M17 10a7 7 0 1 1-14 0 7 7 0 0 1 14 0ZM6.500 10h7',
  right: 'm8 6 4 4-4 4',
  left: 'm12 6-4 4 4 4',
  moon: 'M15.500 12.200A6.500 6.500 0 0 1 7.800 4.500a6.500 6.500 0 1 0 7.700 7.700Z',
  key: 'M4 5.500h12a1.500 1.500 0 0 1 1.500 1.500v6a1.500 1.500 0 0 1-1.500 1.500H4A1.500 1.500 0 0 1 2.500 13V7A1.500 1.500 0 0 1 4 5.500ZM5.500 8.500h.1M8.500 8.500h.1M11.500 8.500h.1M14.500 8.500h.1M7 11.500h6',
  out: 'M8 4H5v12h3M9 10h8M14 7l3 3-3 3',
} as const;

/** The name of a picture. */
export type IconName = keyof typeof PATHS;

/** A small picture beside a word: it says nothing that the word does not. */
export function Icon({ name, large = false }: { name: IconName; large?: boolean }): VNode {
  return (
    <svg class={large ? 'i big-i' : 'i'} viewBox="0 0 20 20" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
