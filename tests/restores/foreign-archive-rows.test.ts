// An archive whose row hangs on another tenant's parent, as only somebody can make it who may write the bucket and the
// database's record: no restore hangs a row on that parent, and a deep recovery test finds it.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { forgeChunk, tamperedWith } from '../fixtures/archive.ts';
import { rowTexts } from '../fixtures/database.ts';
import { backUp, type Reply, restore } from '../fixtures/functions.ts';
import { kindsOf, recoveryTest, resultsOf } from '../fixtures/recovery.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { leftAlone } from '../fixtures/warnings.ts';

const { stack, client } = await openStack();

let tenant: Tenant;
let backup: string;

before(async () => {
  tenant = await newTenant(stack, client, 'A');
  await client.query(`create schema app;
    create table app.tasks (id int primary key, org text not null);
    create table app.comments (id int primary key, task_id int not null references app.tasks, body text);
    create table app.votes (id int primary key, comment_id int references app.comments);
    create table app.marks (id int primary key, task_id int);
    insert into app.tasks values (1, 'A'), (2, 'B'); insert into app.comments values (1, 1, 'mine'), (2, 2, 'theirs');
    insert into app.votes values (1, 1), (2, 2); insert into app.marks values (1, 1), (2, 2)`);
  await client.query(`select m23.protect_table('app.tasks', 'org')`);
  await client.query(`select m23.protect_table('app.comments', via => 'task_id')`);
  await client.query(`select m23.protect_table('app.votes', via => 'comment_id')`);
  await client.query(`select m23.protect_table('app.marks', via => 'task_id -> app.tasks')`);
  backup = await backUp(stack, client, tenant);
});

const rows = async (): Promise<string[][]> =>
  Promise.all(['tasks', 'comments', 'votes', 'marks'].map((table) => rowTexts(client, `select * from app.${table}`)));

/** With another row in the archive's table, which hangs on the other tenant's row 2. */
async function withForeignRow(table: string, work: () => Promise<void>): Promise<void> {
  const line = table === 'comments' ? '9\t2\tforged' : '9\t2';
  await tamperedWith(stack, client, tenant, backup, async () => {
    await forgeChunk(stack, client, tenant, backup, table, (lines) => [...lines, line]);
    await work();
  });
}

const foreign = (reply: Reply): string => `${reply.body.code}: ${reply.body.error}`;

for (const table of ['comments', 'votes']) {
  describe(`a row of ${table} whose parent a foreign key keeps`, () => {
    test('makes the archive unusable, and nothing changes', async () => {
      await withForeignRow(table, async () => {
        const live = await rows();
        assert.match(foreign(await restore(stack, tenant, backup)), /BACKUP_UNUSABLE: .* 1 row\(s\) of another tenant/);
        assert.deepEqual(await rows(), live);
      });
    });

    test('is found by a deep recovery test', async () => {
      await withForeignRow(table, async () => {
        const reply = await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: backup });
        assert.deepEqual(kindsOf(resultsOf(reply)).slice(0, 1), ['foreign_row']);
      });
    });

    test('is left alone by a restore without the parents', async () => {
      await withForeignRow(table, async () => {
        const live = await rows();
        const { status, body } = await restore(stack, tenant, backup, { tables: [`app.${table}`] });
        assert.equal(status, 200, JSON.stringify(body));
        assert.match((body['warnings'] as string[]).join('\n'), leftAlone(`app.${table}`, 1));
        assert.deepEqual(await rows(), live);
      });
    });
  });
}

test('a row that no foreign key keeps may have been an orphan then, and is left alone', async () => {
  await withForeignRow('marks', async () => {
    const live = await rows();
    const { status, body } = await restore(stack, tenant, backup);
    assert.equal(status, 200, JSON.stringify(body));
    assert.match((body['warnings'] as string[]).join('\n'), leftAlone('app.marks', 1));
    assert.deepEqual(await rows(), live);
  });
});

test("a row on a parent that has the other tenant's key is left alone with it", async () => {
  await tamperedWith(stack, client, tenant, backup, async () => {
    await forgeChunk(stack, client, tenant, backup, 'tasks', (lines) => [...lines, '2\tA']);
    await forgeChunk(stack, client, tenant, backup, 'comments', (lines) => [...lines, '9\t2\tforged']);
    const live = await rows();
    const { status, body } = await restore(stack, tenant, backup);
    assert.equal(status, 200, JSON.stringify(body));
    assert.match((body['warnings'] as string[]).join('\n'), leftAlone('app.comments', 1));
    assert.deepEqual(await rows(), live);
  });
});
