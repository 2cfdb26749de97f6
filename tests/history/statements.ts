// Random statements on the tables of the history: every kind of write that capture has to follow.

/** Random choices. */
export class Draw {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  one<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

/** What every client looks at before it writes. */
export interface Shape {
  /** Names that schema changes have given. */
  note: string;
  extra: string[];
  /** Tenants take keys that others have given up, also in tables whose rows stay with their tenant. */
  contested: boolean;
}

interface Scene {
  draw: Draw;
  /** The tenants: the one that writes, and another. */
  mine: string;
  theirs: string;
  /** The writer's own range of keys begins here. */
  base: number;
  shape: Shape;
}

const WORDS = ['a', 'b ', 'ä"b', 'x,y', '\\', '(', '', 'NULL', "o''clock"];

const IDS = 60;
const PLACES = 24;

type Statement = (scene: Scene) => string;

const PLAIN: Statement[] = [
  ({
    draw,
    mine,
  }) => `insert into history.plain (id, tenant_id, v, n) values (${1 + draw.below(IDS)}, '${mine}', '${draw.one(WORDS)}', ${draw.below(100)} / 8.0)
    on conflict (id) do update set v = excluded.v || '+', n = history.plain.n + 1.10 where history.plain.tenant_id = '${mine}'`,
  ({ draw, mine }) =>
    `insert into history.plain (id, tenant_id, v) select n, '${mine}', 'many' from generate_series(${1 + draw.below(IDS)}, ${1 + draw.below(IDS)}) n on conflict do nothing`,
  ({ draw, mine, shape }) =>
    `update history.plain set v = v || '${draw.one(WORDS)}', n = n + 1${shape.extra.map((name) => `, ${name} = ${draw.below(9)}`).join('')} where tenant_id = '${mine}' and id > ${draw.below(IDS)}`,
  ({ draw }) => `update history.plain set n = n * 1.0 where id % 7 = ${draw.below(7)}`,
  ({ draw, mine }) =>
    `delete from history.plain where tenant_id = '${mine}' and id between ${draw.below(IDS)} and ${draw.below(IDS)}`,
  ({ draw, mine }) =>
    `update history.plain set id = ${1 + draw.below(IDS)} where tenant_id = '${mine}' and id = ${1 + draw.below(IDS)}`,
  ({ draw, mine }) =>
    `update history.plain set id = id + ${IDS} where tenant_id = '${mine}' and id <= ${draw.below(9)}`,
  ({ draw, mine, theirs }) =>
    `update history.plain set tenant_id = '${theirs}', v = 'moved' where tenant_id = '${mine}' and id % 5 = ${draw.below(5)}`,
  ({
    draw,
    mine,
    theirs,
  }) => `update history.plain set tenant_id = case tenant_id when '${mine}' then '${theirs}' else '${mine}' end::uuid, id = case when id > 90 then id - 80 else id end
    where tenant_id in ('${mine}', '${theirs}') and id % 11 = ${draw.below(11)}`,
  ({
    draw,
    mine,
  }) => `with d as (delete from history.plain where tenant_id = '${mine}' and id > ${draw.below(IDS)} returning id)
    insert into history.plain (id, tenant_id, v) select d.id, '${mine}', 'reborn' from d${draw.one(['', ' limit 1', ' limit 3'])}`,
  ({
    draw,
    mine,
  }) => `merge into history.plain p using (select n from generate_series(${1 + draw.below(20)}, ${20 + draw.below(30)}) n) s on p.id = s.n and p.tenant_id = '${mine}'
    when matched and s.n % 3 = 0 then delete when matched then update set v = 'merged', n = s.n when not matched and s.n % 4 = 1 then insert (id, tenant_id, v) values (s.n + 70, '${mine}', 'merged in')`,
];

const PAIR: Statement[] = [
  ({ draw, mine }) =>
    `insert into history.pair values ('${mine}', ${draw.below(6)}, '${draw.one(WORDS)}') on conflict (tenant_id, a, b) do update set at = clock_timestamp()`,
  ({ draw, mine }) =>
    `update history.pair set at = at + interval '1 microsecond' where tenant_id = '${mine}' and a >= ${draw.below(6)}`,
  ({ draw, mine }) => `delete from history.pair where tenant_id = '${mine}' and b = '${draw.one(WORDS)}'`,
  ({ draw, mine }) =>
    `update history.pair set a = a + 1, b = b || 'k' where tenant_id = '${mine}' and a = ${draw.below(6)} and length(b) < 5`,
  ({ draw, mine, theirs }) =>
    `update history.pair set tenant_id = '${theirs}' where tenant_id = '${mine}' and a = ${draw.below(8)} and b = '${draw.one(WORDS)}'`,
  ({ draw, mine }) =>
    `with d as (delete from history.pair where tenant_id = '${mine}' and a = ${draw.below(6)} returning *) insert into history.pair select tenant_id, a, b from d limit ${draw.below(3)}`,
];

const TAG: Statement[] = [
  ({
    draw,
    mine,
    base,
    shape,
  }) => `insert into history.tag (id, tenant_id, ${shape.note}) values ('${base}${draw.one(WORDS)}${draw.below(4)}', '${mine}', '${draw.one(WORDS)}')
    on conflict (id) do update set ${shape.note} = null, mark = gen_random_uuid()`,
  ({ draw, mine, shape }) =>
    `update history.tag set ${shape.note} = concat(${shape.note}, '${draw.one(WORDS)}') where tenant_id = '${mine}' and id > '${draw.below(99)}' and length(${shape.note}) < 40`,
  ({ draw, mine, base }) =>
    `update history.tag set id = '${base}${draw.one(WORDS)}${draw.below(4)}' where tenant_id = '${mine}' and id = '${base}${draw.one(WORDS)}${draw.below(4)}'`,
  ({ draw, mine }) => `delete from history.tag where tenant_id = '${mine}' and id like '%${draw.below(4)}'`,
];

const SWAP: Statement[] = [
  ({ draw, mine, base }) =>
    `insert into history.swap select ${base} + n, '${mine}', ${draw.below(PLACES)} + n * 100, 'new' from generate_series(1, ${1 + draw.below(PLACES)}) n where not exists (select from history.swap where id = ${base} + n)`,
  ({ draw, mine, base }) => {
    const [a, b] = [base + 1 + draw.below(PLACES), base + 1 + draw.below(PLACES)];
    return `update history.swap set id = case id when ${a} then ${b} else ${a} end, v = v || 's' where tenant_id = '${mine}' and id in (${a}, ${b})`;
  },
  ({ mine, base }) =>
    `update history.swap set id = ${base} + 1 + (id - ${base}) % (select count(*) from history.swap where tenant_id = '${mine}')::int where tenant_id = '${mine}'`,
  ({
    mine,
  }) => `update history.swap s set place = (select o.place from history.swap o where o.tenant_id = s.tenant_id and o.id > s.id order by o.id limit 1) where tenant_id = '${mine}' and false
    or tenant_id = '${mine}' and place is not null and id = (select max(id) from history.swap where tenant_id = '${mine}')`,
  ({ mine }) =>
    `update history.swap s set place = (select min(place) + max(place) from history.swap o where o.tenant_id = s.tenant_id) - place where tenant_id = '${mine}'`,
  ({ draw, mine, base }) =>
    `delete from history.swap where tenant_id = '${mine}' and id > ${base} + ${draw.below(PLACES)}`,
];

const SEAT: Statement[] = [
  ({ draw, mine }) =>
    `insert into history.seat (tenant_id, place, v) values ('${mine}', ${draw.below(PLACES)}, 'new') on conflict (tenant_id, place) do update set v = history.seat.v || '${draw.below(10)}'`,
  ({ draw, mine }) => {
    const [a, b] = [draw.below(PLACES), draw.below(PLACES)];
    return `update history.seat set place = -1 where tenant_id = '${mine}' and place = ${a}; update history.seat set place = ${a} where tenant_id = '${mine}' and place = ${b};
    update history.seat set place = ${b} where tenant_id = '${mine}' and place = -1`;
  },
  ({ draw, mine }) => `delete from history.seat where tenant_id = '${mine}' and place > ${draw.below(PLACES)}`,
  ({ draw, mine }) =>
    `with d as (delete from history.seat where tenant_id = '${mine}' and place < ${draw.below(PLACES)} returning *) insert into history.seat (tenant_id, place, v) select tenant_id, place + 50, v from d where place < 50`,
];

const NODE: Statement[] = [
  ({ draw, mine, shape }) =>
    `insert into history.node (id, tenant_id, v) select ${1 + draw.below(40)}, '${mine}', 'again' where ${shape.contested} on conflict do nothing`,
  ({ draw, mine }) =>
    `insert into history.node (tenant_id, up, v) select '${mine}', (select id from history.node where tenant_id = '${mine}' order by id offset ${draw.below(12)} limit 1), 'n' from generate_series(1, ${1 + draw.below(3)})`,
  ({ draw, mine }) =>
    `insert into history.leaf (node, line, tenant_id, v) select id, ${draw.below(4)}, tenant_id, id / 3.0 from history.node where tenant_id = '${mine}' and id % 3 = ${draw.below(3)} on conflict (node, line) do update set v = -leaf.v`,
  ({ draw, mine }) =>
    `update history.node set v = v || 'u' where tenant_id = '${mine}' and id % 4 = ${draw.below(4)} and length(v) < 20`,
  ({ draw, mine }) =>
    `update history.node set up = (select max(p.id) from history.node p where p.tenant_id = '${mine}' and p.id < node.id) where tenant_id = '${mine}' and id % 4 = ${draw.below(4)}`,
  ({ draw, mine }) =>
    `update history.node set id = id + 1000000 where tenant_id = '${mine}' and id < 90000000 and id % 6 = ${draw.below(6)}`,
  ({ draw, mine }) =>
    `delete from history.node where id in (select id from history.node where tenant_id = '${mine}' order by up nulls last, id offset ${4 + draw.below(20)} limit 3)`,
  ({ draw, mine }) =>
    `update history.leaf set line = line + 10, v = '-0' where tenant_id = '${mine}' and line = ${draw.below(4)} and node % 2 = 0`,
  ({ draw, mine }) => `delete from history.leaf where tenant_id = '${mine}' and (node + line) % 5 = ${draw.below(5)}`,
];

const REGIONS = ['north', 'south', 'east', 'west'];

const BRANCH: Statement[] = [
  ({ draw, mine, base }) =>
    `insert into history.branch select ${base} + n, '${draw.one(REGIONS)}', '${mine}', 'new' from generate_series(1, ${1 + draw.below(PLACES)}) n on conflict (id, region) do update set v = excluded.v || 'er'`,
  ({ draw, mine, base }) =>
    `update history.branch set region = '${draw.one(REGIONS)}' where tenant_id = '${mine}' and id = ${base} + ${1 + draw.below(PLACES)}`,
  ({ draw, mine }) =>
    `update history.branch set v = v || 'u' where tenant_id = '${mine}' and id % 3 = ${draw.below(3)} and length(v) < 30`,
  ({ draw, mine, base }) =>
    `delete from history.branch where tenant_id = '${mine}' and id > ${base} + ${draw.below(PLACES)} and region = '${draw.one(REGIONS)}'`,
  ({
    draw,
    mine,
    base,
  }) => `merge into history.branch b using (select ${base} + n as n from generate_series(1, ${draw.below(PLACES)}) n) s on b.id = s.n and b.region = '${draw.one(REGIONS)}' and b.tenant_id = '${mine}'
    when matched and s.n % 3 = 0 then delete when matched then update set v = 'merged' when not matched and s.n % 4 = 1 then insert values (s.n, 'east', '${mine}', 'merged in')`,
  ({ draw, mine }) =>
    `insert into history.twig (tenant_id, branch, region, v) select '${mine}', id, region, 't' from history.branch where tenant_id = '${mine}' and id % 4 = ${draw.below(4)} order by id, region limit 3`,
  ({ draw, mine }) =>
    `update history.twig set (branch, region) = (select b.id, b.region from history.branch b where b.tenant_id = '${mine}' order by b.id, b.region offset ${draw.below(9)} limit 1) where tenant_id = '${mine}' and id % 5 = ${draw.below(5)}`,
  ({ draw, mine }) => `delete from history.twig where tenant_id = '${mine}' and id % 6 = ${draw.below(6)}`,
];

const WORD: Statement[] = [
  ({ draw, mine, base }) =>
    `insert into history.word values ('${base}${draw.one(['a', 'A', 'b', 'B', 'c'])}${draw.below(6)}', '${mine}', 'new', (enum_range(null::history.mood))[${1 + draw.below(3)}]) on conflict (id) do update set v = word.v || '+', mood = excluded.mood where length(word.v) < 40`,
  ({ draw, mine }) =>
    `update history.word set id = case when id = upper(id)::text then lower(id) else upper(id) end, v = 'turned' where tenant_id = '${mine}' and hashtext(lower(id)) % 3 = ${draw.below(3)}`,
  ({ draw, mine, base }) =>
    `update history.word set id = '${base}${draw.one(['a', 'B', 'd'])}${draw.below(6)}' where tenant_id = '${mine}' and id = '${base}${draw.one(['A', 'b', 'd'])}${draw.below(6)}'`,
  ({ draw, mine }) => `delete from history.word where tenant_id = '${mine}' and id like '%${draw.below(6)}'`,
  ({ draw, mine }) =>
    `insert into history.usage (tenant_id, word, v) select '${mine}', ${draw.one(['upper', 'lower'])}(id), 'u' from history.word where tenant_id = '${mine}' order by id offset ${draw.below(6)} limit 2`,
  ({ draw, mine }) =>
    `update history.usage set v = v || 'u', word = lower(word) where tenant_id = '${mine}' and id % 4 = ${draw.below(4)} and length(v) < 20`,
  ({ draw, mine }) => `delete from history.usage where tenant_id = '${mine}' and id % 5 = ${draw.below(5)}`,
];

const LOOSE: Statement[] = [
  ({ draw, mine, base }) =>
    `insert into history.loose select ${base} + n, '${mine}', 'new' from generate_series(1, ${1 + draw.below(PLACES)}) n on conflict do nothing`,
  ({ draw, mine }) =>
    `update history.loose set tenant_id = null, v = 'nobody''s' where tenant_id = '${mine}' and id % 5 = ${draw.below(5)}`,
  ({ draw, mine, base }) =>
    `update history.loose set tenant_id = '${mine}', v = 'found' where tenant_id is null and id between ${base} and ${base} + 999 and id % 3 = ${draw.below(3)}`,
  ({ draw, mine, base }) =>
    `update history.loose set v = v || 'u' where (tenant_id = '${mine}' or tenant_id is null and id between ${base} and ${base} + 999) and id % 4 = ${draw.below(4)} and length(v) < 30`,
  ({ draw, mine, base }) =>
    `delete from history.loose where (tenant_id = '${mine}' or tenant_id is null) and id between ${base} + ${draw.below(PLACES)} and ${base} + 999`,
];

const KINDS = [PLAIN, PLAIN, PAIR, TAG, SWAP, SEAT, NODE, NODE, BRANCH, BRANCH, WORD, LOOSE];
const TRUNCATES = [
  'plain',
  'pair',
  'seat',
  'node cascade',
  'leaf',
  'swap, tag',
  'branch cascade',
  'twig',
  'word cascade',
];

/** The next statement of a transaction of one tenant. */
export function statement(draw: Draw, tenants: readonly string[], number: number, shape: Shape): string {
  const mine = tenants[number] as string;
  const theirs = draw.one(tenants.filter((one) => one !== mine));
  if (draw.chance(1 / 400)) return `truncate history.${draw.one(TRUNCATES).replace(', ', ', history.')}`;
  return draw.one(draw.one(KINDS))({ draw, mine, theirs, base: (number + 1) * 1000, shape });
}
