import { parseArgs } from 'node:util';

import { StackFailure } from '../stack/failure.ts';

/** The groups of measurements, in the order in which they run. */
export const NAMES = [
  'capture',
  'paths',
  'rewind',
  'independence',
  'references',
  'many',
  'writers',
  'fleet',
  'backup',
  'proof',
  'find',
] as const;
export type Name = (typeof NAMES)[number];

/** What the caller has asked for. */
export interface Options {
  /** Smaller tables and fewer repetitions. */
  quick: boolean;
  only: readonly Name[];
  /** A checkout of dalibo/emaj. */
  emaj: string | undefined;
}

/** Reads the command line; says what is wrong with it. */
export function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      peer: { type: 'string', multiple: true },
    },
  });
  return { quick: values.quick, only: values.only?.map(nameOf) ?? NAMES, emaj: values.peer?.map(checkoutOf).at(-1) };
}

function nameOf(text: string): Name {
  const name = NAMES.find((one) => one === text);
  if (name === undefined) throw new StackFailure(`no benchmark "${text}"; there are ${NAMES.join(', ')}`);
  return name;
}

function checkoutOf(text: string): string {
  const folder = /^emaj=(.+)$/.exec(text)?.[1];
  if (folder === undefined) throw new StackFailure(`"--peer ${text}" must be --peer emaj=DIR`);
  return folder;
}
