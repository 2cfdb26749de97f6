// Random statements of a history of capture: every kind of write that the order of images depends on.
import type { Draw } from '../statements.ts';
import { insertion, KEYS, ownerOf, parentFrom, type Table, tenantsOf, type WideColumn } from './tables.ts';

interface Scene {
  draw: Draw;
  table: Table;
}

type Statement = (scene: Scene) => string;

const LENGTHS = [5, 5, 5, 2_500, 9_000];

const key = (draw: Draw): number => 1 + draw.below(KEYS);
const views = (draw: Draw): number => 1 + draw.below(400);
const wideColumn = ({ draw, table }: Scene): WideColumn => draw.one(table.wide);
const wideText = (draw: Draw): string =>
  `'${views(draw)}' || repeat('${draw.one(['a', 'b', 'c'])}', ${draw.one(LENGTHS)})`;

/** Whose a row can be: a tenant's, or that of a parent, if there is one. */
function owner({ draw, table }: Scene): string {
  if (table.through !== undefined) return parentFrom(table.through, key(draw));
  const { type, spellings } = tenantsOf(table);
  return `'${draw.one(spellings)}'::${type}`;
}

/** Both tenants, or two parents. */
function exchanged(scene: Scene): [string, string] {
  if (scene.table.through !== undefined) return [owner(scene), owner(scene)];
  const { type, tenants } = tenantsOf(scene.table);
  return [`'${tenants[0]}'::${type}`, `'${tenants[1]}'::${type}`];
}

/** A wide column given another value: short, some 3 KB, some 9 KB. */
function another(scene: Scene): string {
  const column = wideColumn(scene);
  return `${column.name} = ${column.holding(wideText(scene.draw))}`;
}

/** Inserts a row with drawn values, or one for each row of a FROM clause. */
function inserting(scene: Scene, id: string | number, from = ''): string {
  const { draw, table } = scene;
  return insertion(table, String(id), owner(scene), views(draw), wideText(draw), from);
}

/** The same where the key is not there. */
function absent(scene: Scene, id: number): string {
  return inserting(scene, id, `where not exists (select from ${scene.table.name} where id = ${id})`);
}

const NARROW: Statement[] = [
  ({ draw, table }) => `update ${table.name} set views = ${views(draw)} where id = ${key(draw)}`,
  ({ draw, table }) => {
    const from = key(draw);
    return `update ${table.name} set views = views + 1 where id between ${from} and ${from + 5}`;
  },
];

const WIDE: Statement[] = [
  (scene) => `update ${scene.table.name} set ${another(scene)} where id = ${key(scene.draw)}`,
  (scene) => {
    const { name } = wideColumn(scene);
    return `update ${scene.table.name} set ${name} = ${name}, views = views + 1 where id % 9 = ${scene.draw.below(9)}`;
  },
  (scene) => {
    // from another row
    const { name } = wideColumn(scene);
    const [one, other] = [key(scene.draw), key(scene.draw)];
    return `update ${scene.table.name} a set ${name} = b.${name} from ${scene.table.name} b
      where a.id = ${one} and b.id = ${other}`;
  },
  (scene) => {
    // exchanged between two rows
    const { name } = wideColumn(scene);
    const [one, other] = [key(scene.draw), key(scene.draw)];
    return `update ${scene.table.name} a set ${name} = b.${name} from ${scene.table.name} b
      where a.id in (${one}, ${other}) and b.id in (${one}, ${other}) and a.id <> b.id`;
  },
  ({ draw, table }) => `select ${table.name}_back(${key(draw)})`,
];

const ROWS: Statement[] = [
  ({ draw, table }) => `delete from ${table.name} where id = ${key(draw)}`,
  (scene) => absent(scene, key(scene.draw)),
  (scene) => {
    const from = key(scene.draw);
    const missing = `where not exists (select from ${scene.table.name} where id = g)`;
    return inserting(scene, 'g', `from generate_series(${from}, ${from + 6}) g ${missing}`);
  },
  ({ draw, table }) => `delete from ${table.name} where id % 13 = ${draw.below(13)}`,
];

const UPSERTS: Statement[] = [
  (scene) => {
    const { draw, table } = scene;
    return `${inserting(scene, key(draw))}
      on conflict (${table.conflict}) do update set views = ${table.name}.views + 1, ${another(scene)}`;
  },
  (scene) => {
    const { draw, table } = scene;
    const { name } = wideColumn(scene);
    const many = `from generate_series(${key(draw)}, ${key(draw)}) g where true`;
    return `${inserting(scene, 'g', many)}
      on conflict (${table.conflict}) do update set ${name} = excluded.${name} where ${table.name}.views % 2 = 0`;
  },
  (scene) => `${inserting(scene, key(scene.draw))} on conflict do nothing`,
];

const KEYS_MOVE: Statement[] = [
  ({ draw, table }) => `update ${table.name} set id = ${key(draw)} where id = ${key(draw)}`,
  ({ draw, table }) => `update ${table.name} set id = id + 100 where id in (${key(draw)}, ${key(draw)})`,
  ({ draw, table }) => `update ${table.name} set id = id - 100 where id > 100 and id % 3 = ${draw.below(3)}`,
];

const OWNERS: Statement[] = [
  (scene) => `update ${scene.table.name} set ${ownerOf(scene.table)} = ${owner(scene)} where id = ${key(scene.draw)}`,
  (scene) =>
    `update ${scene.table.name} set views = views + 1, ${ownerOf(scene.table)} = ${owner(scene)}, ${another(scene)}
      where id = ${key(scene.draw)}`,
  (scene) => {
    const { draw, table } = scene;
    const column = ownerOf(table);
    const [one, other] = exchanged(scene);
    return `update ${table.name} set ${column} = case when ${column} = ${one} then ${other} else ${one} end
      where id % 17 = ${draw.below(17)}`;
  },
];

const MOVES: Statement[] = [...KEYS_MOVE, ...OWNERS];

const SWAPS: Statement[] = [
  ({ draw, table }) => {
    const from = key(draw);
    return `update ${table.name} set id = ${2 * from + 1} - id where id in (${from}, ${from + 1})`;
  },
  ({ draw, table }) => {
    const from = key(draw);
    return `update ${table.name} set id = ${from} + (id - ${from} + 1) % 3, views = views + 1
      where id between ${from} and ${from + 2}`;
  },
];

const NESTED: Statement[] = [
  ({ draw, table }) => {
    const from = key(draw);
    return `update ${table.name} set views = views + ${table.name}_poke(${key(draw)})
      where id between ${from} and ${from + 3}`;
  },
  ({ draw, table }) => `select ${table.name}_poke(g) from generate_series(${key(draw)}, ${key(draw)}) g`,
  ({ draw, table }) => `delete from ${table.name} where id = ${key(draw)} and ${table.name}_poke(${key(draw)}) > 0`,
  (scene) => {
    const { draw, table } = scene;
    return insertion(table, `${key(draw)}`, owner(scene), `${table.name}_poke(${key(draw)})`, wideText(draw));
  },
];

const MERGES: Statement[] = [
  ({ draw, table }) => {
    const from = key(draw);
    const columns = table.wide.map(({ name }) => name);
    return `merge into ${table.name} t
      using (select g as id from generate_series(${from}, ${from + 4}) g) s on t.id = s.id
      when matched and t.views % 2 = 0 then update set views = t.views + 3
      when matched and t.views % 3 = 0 then update set ${another({ draw, table })}
      when matched then delete
      when not matched then insert (id, ${ownerOf(table)}, views, ${columns.join(', ')})
        values (s.id, ${owner({ draw, table })}, 4, ${table.wide.map(({ holding }) => holding(`'merged'::text`)).join(', ')})`;
  },
];

const KEYS_IN_CTES: Statement[] = [
  ({ draw, table }) => `with a as (update ${table.name} set views = ${views(draw)} where id = ${key(draw)}),
      b as (update ${table.name} set id = ${key(draw)} where id = ${key(draw)}) select`,
];

const CTES: Statement[] = [
  (scene) => {
    const { draw, table } = scene;
    const id = key(draw);
    return `with a as (update ${table.name} set views = views + 1 where id = ${id}),
        b as (update ${table.name} set ${another(scene)} where id = ${id + 1}),
        d as (delete from ${table.name} where id = ${id + 2})
      update ${table.name} set ${another(scene)} where id = ${id + 3}`;
  },
  (scene) => `with a as (update ${scene.table.name} set ${another(scene)} where id = ${key(scene.draw)})
      update ${scene.table.name} set ${ownerOf(scene.table)} = ${owner(scene)}, views = 3
      where id = ${key(scene.draw)}`,
  (scene) => {
    const { draw, table } = scene;
    const id = key(draw);
    return `with a as (${absent(scene, id)}), b as (update ${table.name} set views = 5 where id = ${id + 1})
      update ${table.name} set ${another(scene)} where id = ${id + 2}`;
  },
  ({ draw, table }) => {
    const column = ownerOf(table);
    const again = `from d${draw.one(['', ' limit 1'])}`;
    return `with d as (delete from ${table.name} where id % 11 = ${draw.below(11)} returning id, ${column})
      ${insertion(table, 'd.id', `d.${column}`, views(draw), wideText(draw), again)}`;
  },
];

const PARENTS: Statement[] = [
  ({ draw, table }) =>
    `update ${table.name} set parent = (select min(id) from ${table.parent} where id >= ${key(draw)})
      where id = ${key(draw)}`,
  ({ draw, table }) =>
    `update ${table.name} t set parent = (select max(id) from ${table.parent} p where p.id <= t.id + 1)
      where id % 7 = ${draw.below(7)}`,
  ({ draw, table }) => `delete from ${table.parent} where id in (${key(draw)}, ${key(draw)}, ${key(draw)})`,
];

const PARENTS_KEYS: Statement[] = [
  ({ draw, table }) => `update ${table.parent} set id = id + 100 where id in (${key(draw)}, ${key(draw)})`,
  ({ draw, table }) => `update ${table.parent} set id = id - 100 where id > 100 and id % 3 = ${draw.below(3)}`,
];

/** Partitions are tables too, and rows stay in them: what leaves one is refused there. */
const PARTS: Statement[] = [
  ({ draw, table }) => `update ${draw.one(table.parts!)} set views = views + 1 where id % 5 = ${draw.below(5)}`,
  (scene) => `update ${scene.draw.one(scene.table.parts!)} set ${another(scene)} where id % 5 = ${scene.draw.below(5)}`,
  ({ draw, table }) => `update ${draw.one(table.parts!)} set id = ${key(draw)} where id = ${key(draw)}`,
  ({ draw, table }) => `delete from ${draw.one(table.parts!)} where id % 7 = ${draw.below(7)}`,
  ({ draw, table }) => inserting({ draw, table: { ...table, name: draw.one(table.parts!) } }, key(draw)),
  ({ draw, table }) => `update ${table.name} set id = id + 30 where id % 8 = ${draw.below(8)} and id < 60`,
  ({ draw, table }) => `update ${table.name} set id = id - 30 where id % 8 = ${draw.below(8)} and id > 30`,
];

/** The kinds of statements that a table takes, each as often as it is listed. */
function kinds(table: Table): Statement[][] {
  const moves = table.keepsKeys === true ? OWNERS : MOVES;
  const ctes = table.keepsKeys === true ? CTES : [...CTES, ...KEYS_IN_CTES];
  const parents = table.through?.keepsKeys === true ? PARENTS : [...PARENTS, ...PARENTS_KEYS];
  const more = [
    ...(table.conflict === undefined ? [] : [UPSERTS]),
    ...(table.swaps === true ? [SWAPS] : []),
    ...(table.parent === undefined ? [] : [parents, parents]),
    ...(table.parts === undefined ? [] : [PARTS, PARTS]),
  ];
  return [NARROW, NARROW, NARROW, WIDE, WIDE, ROWS, ROWS, moves, moves, NESTED, MERGES, ctes, ...more];
}

/** The next statement on one of some tables. */
export function statement(draw: Draw, tables: readonly Table[]): string {
  const table = draw.one(tables);
  if (draw.chance(1 / 400)) return `truncate ${table.name} cascade`;
  return draw.one(draw.one(kinds(table)))({ draw, table });
}
