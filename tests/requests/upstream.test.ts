// What a function answers when the project behind it misbehaves: its keys, its database, its answers.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { ClosedWorld } from '../closed-world.ts';

const DRILL = { test_name: 'drill', test_type: 'manual', validation_level: 'basic' };

/** The answer to a caller whose token is good, in a world where nobody has a tenant. */
const SIGNED_IN = [403, 'TENANT_NOT_FOUND'];

let world: ClosedWorld;
before(async () => {
  world = await ClosedWorld.open('recovery-test');
});
after(() => world.close());

async function refusal(token: string): Promise<[number, unknown]> {
  const { status, body } = await world.call(token, DRILL);
  return [status, body['code']];
}

describe('a signature', () => {
  for (const alg of ['ES256', 'RS256', 'HS256'] as const) {
    test(`of ${alg} is verified`, async () => {
      const token = await world.token(alg);
      assert.deepEqual(await refusal(token), SIGNED_IN);
      const at = token.lastIndexOf('.') + 5;
      const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
      assert.deepEqual(await refusal(changed), [401, 'AUTH_REQUIRED']);
    });
  }

  test('needs the keys once for many requests', () => {
    assert.equal(
      world.asked.filter((path) => path.endsWith('jwks.json')).length,
      2,
      'the first time, and once for the unknown kid',
    );
  });
});

describe('a project that misbehaves', () => {
  const ordinary = (): ClosedWorld['answer'] => () =>
    Response.json({ tenant_id: null, allowed: false, used: 0, reset: 0 });

  async function answered(answer: ClosedWorld['answer'], expected: [number, string]): Promise<Headers> {
    world.answer = answer;
    try {
      const { status, headers, body } = await world.call(await world.token('ES256'), DRILL);
      assert.deepEqual([status, body['code']], expected);
      assert.doesNotMatch(JSON.stringify(body), /secret words|m23_|42P01/);
      assert.equal(headers.get('retry-after') !== null, expected[0] === 503);
      return headers;
    } finally {
      world.answer = ordinary();
    }
  }

  test('with an error of the database shows none of it', async () => {
    const error = { code: '42P01', message: 'secret words', details: null, hint: null };
    await answered(() => Response.json(error, { status: 404 }), [500, 'INTERNAL']);
    assert.ok(world.logged.some((line) => line.includes('42P01') && line.includes('request_id')));
  });

  test('with no connection to the database is a 503', async () => {
    const error = { code: 'PGRST001', message: 'secret words', details: null, hint: null };
    await answered(() => Response.json(error, { status: 503 }), [503, 'UNAVAILABLE']);
    await answered(() => new Response('<html>secret words</html>', { status: 502 }), [503, 'UNAVAILABLE']);
  });

  test('with nonsense is a fault of ours', async () => {
    await answered(() => new Response('secret words'), [500, 'INTERNAL']);
    await answered(() => Response.json(['secret words']), [500, 'INTERNAL']);
  });

  test('by sending us elsewhere is not followed', async () => {
    const before = world.asked.length;
    await answered(() => Response.redirect('https://project.example/elsewhere', 307), [500, 'INTERNAL']);
    assert.equal(world.asked.length, before + 1);
  });

  test('by never answering is a 503 within ten seconds', { timeout: 15_000 }, async () => {
    const started = Date.now();
    let letGo: (() => void) | undefined;
    const never = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    await answered(async () => {
      await never;
      return new Response();
    }, [503, 'UNAVAILABLE']);
    letGo?.();
    assert.ok(Date.now() - started < 10_000);
  });

  test('logs neither tokens nor keys', () => {
    for (const line of world.logged) assert.doesNotMatch(line, /eyJ|the-service-key/);
  });
});

describe('a deployment with wrong settings', () => {
  test('answers INTERNAL and logs what is wrong', async () => {
    const wrong = await ClosedWorld.open('recovery-test', { RATE_LIMITS: '{"recovery_test": 5}' });
    try {
      const { status, body } = await wrong.call(await wrong.token('ES256'), DRILL);
      assert.deepEqual([status, body['code']], [500, 'INTERNAL']);
      assert.ok(wrong.logged.some((line) => line.includes('RATE_LIMITS names an unknown function: recovery_test')));
    } finally {
      await wrong.close();
    }
  });
});
