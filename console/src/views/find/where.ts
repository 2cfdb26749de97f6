// What somebody types into the search, as a filter.
import { M23Error } from '../../../../client/src/errors.ts';
import type { Values } from '../../../../client/src/types.ts';

const PAIR = /^\s*("[^"]+"|[^\s=]+)\s*=\s*(.*?)\s*$/s;

/** `id = 3 and email = ada@acme.example` as a filter; nothing as none. Values are read by the type of their column. */
export function whereOf(text: string): Values | undefined {
  if (text.trim() === '') return undefined;
  return Object.fromEntries(
    text.split(/\s+and\s+/i).map((part) => {
      const [, name, value] = PAIR.exec(part) ?? [];
      if (name === undefined || value === undefined) throw unreadable(part);
      return [name.replace(/^"|"$/g, ''), value === 'null' ? null : value.replace(/^'(.*)'$/s, '$1')];
    }),
  );
}

function unreadable(part: string): M23Error {
  return new M23Error(`"${part.trim()}" names no column and value: write it as id = 3.`, { code: 'VALIDATION_FAILED' });
}
