// Tables that find their tenants through a parent: what a statement, a cascade or a deferred constraint does to rows of
// the tenant, in whatever order, is known, comes back, and touches nobody else.
import assert from 'node:assert/strict';
import { before, beforeEach, describe, test } from 'node:test';

import { openDatabase, recover, rowTexts } from '../fixtures/database.ts';

const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';
const TABLES = ['p', 'c', 'd'] as const;
type Table = (typeof TABLES)[number];

const { client, postgres } = await openDatabase();

/** How the tables refer to each other. */
const KINDS = {
  cascading: (to: string) => `references ${to} on update cascade on delete cascade`,
  deferred: (to: string) => `references ${to} deferrable initially deferred`,
  unconstrained: () => '',
};
type Kind = keyof typeof KINDS;

/** o (text) ← p (int, by its column) ← c (by its path) ← d (by its path). A and B have 2 rows of p, 4 of c, 8 of d. */
async function makeTables(kind: Kind): Promise<void> {
  const to = KINDS[kind];
  await client.query(`drop schema if exists app cascade;
    create schema app;
    create table app.o (id text primary key);
    create table app.p (id int primary key, o_id text ${to('app.o')}, v text);
    create table app.c (id int primary key, p_id int ${to('app.p')}, v text);
    create table app.d (id int primary key, c_id int ${to('app.c')}, v text);
    create index on app.p (o_id); create index on app.c (p_id); create index on app.d (c_id);
    insert into app.o values ('A'), ('B')`);
  await client.query(`insert into app.p select n, case when n % 2 = 1 then 'A' else 'B' end, 'p' || n from generate_series(1, 4) n;
    insert into app.c select n, 1 + (n - 1) % 4, 'c' || n from generate_series(1, 8) n;
    insert into app.d select n, 1 + (n - 1) % 8, 'd' || n from generate_series(1, 16) n`);
  await client.query(`select m23.protect_table('app.o', 'id'), m23.protect_table('app.p', 'o_id');
    select m23.protect_table('app.c', via => '${kind === 'unconstrained' ? 'p_id -> app.p' : 'p_id'}');
    select m23.protect_table('app.d', via => '${kind === 'unconstrained' ? 'c_id -> app.c' : 'c_id'}')`);
}

/** A tenant's rows, found as the application does: by joins. What hangs on nobody is nobody's. */
const JOINED: Record<Table, string> = {
  p: 'select p.* from app.p where o_id = $1',
  c: 'select c.* from app.c join app.p on p.id = c.p_id where p.o_id = $1',
  d: 'select d.* from app.d join app.c on c.id = d.c_id join app.p on p.id = c.p_id where p.o_id = $1',
};

const sorted = async (sql: string, values: unknown[]): Promise<string[]> =>
  (await rowTexts(client, sql, values)).sort();

const live = (table: Table, tenant: string): Promise<string[]> => sorted(JOINED[table], [tenant]);

async function liveRows(tenant: string): Promise<Record<Table, string[]>> {
  return { p: await live('p', tenant), c: await live('c', tenant), d: await live('d', tenant) };
}

async function rowsAsOf(tenant: string, position: string): Promise<Record<Table, string[]>> {
  const asOf = (table: Table): Promise<string[]> =>
    sorted(`select * from m23.as_of(null::app.${table}, $1, $2::pg_snapshot)`, [tenant, position]);
  return { p: await asOf('p'), c: await asOf('c'), d: await asOf('d') };
}

async function position(): Promise<string> {
  const { rows } = await client.query<{ position: string }>('select m23.current_position()::text as position');
  return rows[0]!.position;
}

async function now(): Promise<string> {
  const { rows } = await client.query<{ at: string }>(
    `select to_json(clock_timestamp()) #>> '{}' as at, pg_sleep(0.01)`,
  );
  return rows[0]!.at;
}

/** Takes the tenant to a moment in its owner's name. */
async function restore(tenant: string, targetTimestamp: string): ReturnType<typeof recover> {
  const claims = { sub: OWNER, role: 'authenticated', app_metadata: { tenant_id: tenant } };
  await client.query(`select set_config('request.jwt.claims', $1, false)`, [JSON.stringify(claims)]);
  const done = await recover(client, tenant, OWNER, { targetTimestamp });
  await client.query(`select set_config('request.jwt.claims', '', false)`);
  return done;
}

before(async () => {
  for (const tenant of ['A', 'B']) {
    await client.query(`insert into public.tenant_members values ($1, $2, 'owner')`, [tenant, OWNER]);
  }
});

/** A trigger of the application's that makes a parent again when it is updated, for a tenant and with a child of it. */
const again = (when: string, tenant: string, gives: string): string =>
  `create or replace function app.again() returns trigger language plpgsql as $$
   begin
     delete from app.p where id = old.id;
     insert into app.p values (old.id, ${tenant}, 'again');
     return ${gives};
   end $$;
   create trigger again ${when} update on app.p for each row when (pg_trigger_depth() = 0) execute function app.again()`;

/** What is done, each a transaction; `whole`: a restore of A gives back all that it had. */
interface Damage {
  name: string;
  kinds: readonly Kind[];
  sql: readonly string[];
  whole: boolean;
}

const ALL: readonly Kind[] = ['cascading', 'deferred', 'unconstrained'];

const DAMAGES: readonly Damage[] = [
  {
    name: 'a parent deleted with its cascade',
    kinds: ['cascading'],
    sql: ['delete from app.p where id = 1'],
    whole: true,
  },
  {
    name: 'the root deleted with all that hangs on it',
    kinds: ['cascading'],
    sql: [`delete from app.o where id = 'A'`],
    whole: true,
  },
  {
    name: 'a parent deleted before its children',
    kinds: ['deferred', 'unconstrained'],
    sql: [
      `begin; delete from app.p where id = 1; delete from app.c where p_id = 1;
       delete from app.d where c_id in (1, 5); commit`,
    ],
    whole: true,
  },
  {
    name: 'children deleted before their parent',
    kinds: ALL,
    sql: [
      `begin; delete from app.d where c_id in (1, 5); delete from app.c where p_id = 1;
       delete from app.p where id = 1; commit`,
    ],
    whole: true,
  },
  {
    name: 'parent and children deleted in one statement, the parent first',
    kinds: ALL,
    sql: [
      `with x as (delete from app.p where id = 1 returning 1), y as (delete from app.c where p_id = 1 returning 1)
       delete from app.d where c_id in (1, 5)`,
    ],
    whole: true,
  },
  {
    name: 'parent and children deleted in one statement, the children first',
    kinds: ALL,
    sql: [
      `with x as (delete from app.d where c_id in (1, 5) returning 1), y as (delete from app.c where p_id = 1 returning 1)
       delete from app.p where id = 1`,
    ],
    whole: true,
  },
  {
    name: 'a key updated, and its children with it',
    kinds: ['cascading'],
    sql: ['update app.p set id = 9 where id = 1', 'update app.c set id = 90 where id = 1'],
    whole: true,
  },
  {
    name: "a key updated to one that another tenant's parent had",
    kinds: ['cascading'],
    sql: ['delete from app.p where id = 2', 'update app.p set id = 2 where id = 1'],
    whole: true,
  },
  {
    name: 'a key and its children updated in one transaction',
    kinds: ['deferred', 'unconstrained'],
    sql: ['begin; update app.p set id = 9 where id = 1; update app.c set p_id = 9 where p_id = 1; commit'],
    whole: true,
  },
  {
    name: 'parent and child inserted',
    kinds: ALL,
    sql: [
      `begin; insert into app.p values (21, 'A', 'new'); insert into app.c values (21, 21, 'new');
       insert into app.d values (21, 21, 'new'); commit`,
    ],
    whole: true,
  },
  {
    name: 'a child inserted before its parent',
    kinds: ['deferred', 'unconstrained'],
    sql: [
      `begin; insert into app.d values (21, 21, 'new'); insert into app.c values (21, 21, 'new');
       insert into app.p values (21, 'A', 'new'); commit`,
    ],
    whole: true,
  },
  { name: 'TRUNCATE CASCADE', kinds: ['cascading', 'deferred'], sql: ['truncate app.p cascade'], whole: true },
  { name: 'TRUNCATE of a parent', kinds: ['unconstrained'], sql: ['truncate app.p'], whole: true },
  {
    name: 'a child moved to another tenant',
    kinds: ALL,
    sql: ['update app.c set p_id = 2 where id = 1'],
    whole: false,
  },
  {
    name: 'a child moved by ON CONFLICT',
    kinds: ALL,
    sql: [`insert into app.c values (1, 2, 'x') on conflict (id) do update set p_id = excluded.p_id, v = excluded.v`],
    whole: false,
  },
  {
    name: 'children moved and made by MERGE',
    kinds: ALL,
    sql: [
      `merge into app.c using (values (1, 2), (31, 1)) s (id, p_id) on c.id = s.id
       when matched then update set p_id = s.p_id when not matched then insert values (s.id, s.p_id, 'merged')`,
    ],
    whole: false,
  },
  {
    name: 'a parent moved to another tenant',
    kinds: ALL,
    sql: [`update app.p set o_id = 'B' where id = 1`],
    whole: false,
  },
  {
    name: 'a parent and its children moved in one statement',
    kinds: ALL,
    sql: [
      `with x as (update app.p set o_id = 'B' where id = 1 returning 1)
       update app.c set v = 'with it' where p_id = 1`,
    ],
    whole: false,
  },
  {
    name: 'a parent moved away and back, with changes meanwhile',
    kinds: ALL,
    sql: [
      `begin; update app.p set o_id = 'B' where id = 1; update app.c set v = 'x' where p_id = 1;
       update app.p set o_id = 'A' where id = 1; commit`,
    ],
    whole: true,
  },
  {
    name: 'a parent that lost its tenant',
    kinds: ALL,
    sql: ['update app.p set o_id = null where id = 1', "update app.c set v = 'x' where id = 1"],
    whole: true,
  },
  { name: 'a child that lost its parent', kinds: ALL, sql: ['update app.c set p_id = null where id = 1'], whole: true },
  {
    name: 'a parent deleted and made again',
    kinds: ['deferred', 'unconstrained'],
    sql: [`begin; delete from app.p where id = 1; insert into app.p values (1, 'A', 'again'); commit`],
    whole: true,
  },
  {
    name: 'a parent deleted and made again by another tenant',
    kinds: ['deferred', 'unconstrained'],
    sql: [`begin; delete from app.p where id = 1; insert into app.p values (1, 'B', 'again'); commit`],
    whole: false,
  },
  {
    name: 'a parent moved by a statement before which a trigger makes it again',
    kinds: ['deferred', 'unconstrained'],
    sql: [again('before', 'new.o_id', 'null'), `update app.p set o_id = 'B' where id = 1`],
    whole: false,
  },
  {
    name: 'a parent moved by a statement after which a trigger makes it again',
    kinds: ['deferred', 'unconstrained'],
    sql: [again('after', 'new.o_id', 'null'), `update app.p set o_id = 'B' where id = 1`],
    whole: false,
  },
  {
    name: 'a parent moved by a statement after which a trigger makes it again as it was',
    kinds: ['deferred', 'unconstrained'],
    sql: [again('after', 'old.o_id', 'null'), `update app.p set o_id = 'B' where id = 1`],
    whole: true,
  },
  {
    name: 'a parent updated by a statement after which a trigger makes it again for another tenant',
    kinds: ['deferred', 'unconstrained'],
    sql: [again('after', `'B'`, 'null'), `update app.p set v = 'x' where id = 1`],
    whole: false,
  },
  {
    name: 'a parent deleted that leaves its children',
    kinds: ['unconstrained'],
    sql: ['delete from app.p where id = 1', 'delete from app.c where id = 1', `update app.d set v = 'x' where id = 5`],
    whole: true,
  },
  {
    name: 'all of it deleted with triggers silenced',
    kinds: ['cascading', 'deferred'],
    sql: [
      `set session_replication_role = replica; delete from app.p where id = 1; delete from app.c where p_id = 1;
       delete from app.d where c_id in (1, 5); reset session_replication_role`,
    ],
    whole: true,
  },
];

for (const kind of ALL) {
  describe(`paths whose references are ${kind}`, () => {
    beforeEach(() => makeTables(kind));

    for (const { name, kinds, sql, whole } of DAMAGES) {
      if (!kinds.includes(kind)) continue;
      test(name, async () => {
        const [mine, theirs] = [await liveRows('A'), await liveRows('B')];
        const [at, then] = [await now(), await position()];
        for (const statement of sql) await client.query(statement);
        assert.deepEqual(await rowsAsOf('A', then), mine, 'A as of before');
        assert.deepEqual(await rowsAsOf('B', then), theirs, 'B as of before');
        const others = await liveRows('B');
        const done = await restore('A', at);
        assert.equal(done.error, undefined);
        assert.deepEqual(await liveRows('B'), others, 'B is untouched');
        if (whole) assert.deepEqual(await liveRows('A'), mine, 'A is as it was');
        else assert.match(done.warnings.join('\n'), /left alone/);
        const again = await restore('A', at);
        assert.equal(again.error, undefined);
        assert.deepEqual(await liveRows('B'), others, 'B is untouched again');
      });
    }
  });
}

test('the postgres is there', () => assert.ok(postgres));
