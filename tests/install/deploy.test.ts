// Every Worker can be deployed alone, and its configuration holds what it needs and no secret.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { ROOT } from '../../stack/places.ts';
import { FUNCTIONS, readWranglerConfig } from '../../stack/wrangler-config.ts';
import { temporaryFolder } from '../dev-command.ts';

const WRANGLER = join(ROOT, 'node_modules', 'wrangler', 'bin', 'wrangler.js');
const SECRETS = ['SUPABASE_ANON_KEY', 'SUPABASE_SERVICE_ROLE_KEY', 'SUPABASE_JWT_SECRET'];

describe('every Worker can be deployed alone', { concurrency: 2 }, () => {
  for (const folder of ['.', ...FUNCTIONS.map((name) => `functions/${name}`)]) {
    test(`wrangler accepts ${folder === '.' ? 'the gateway' : folder}, offline`, async () => {
      const out = temporaryFolder();
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [WRANGLER, 'deploy', '--dry-run', '--outdir', join(out, 'bundle')],
        {
          cwd: join(ROOT, folder),
          env: {
            ...process.env,
            // Nothing of this machine's account, and no talk with the outside.
            XDG_CONFIG_HOME: out,
            WRANGLER_LOG_PATH: join(out, 'logs'),
            WRANGLER_SEND_METRICS: 'false',
            WRANGLER_HIDE_BANNER: 'true',
            HTTPS_PROXY: 'http://127.0.0.1:9',
            CARGO_NET_OFFLINE: 'true',
          },
        },
      );
      assert.match(stdout, /--dry-run: exiting now/);
      const bundled = readdirSync(join(out, 'bundle'));
      assert.ok(bundled.includes('index.js'));
      assert.equal(
        bundled.some((file) => file.endsWith('.wasm')),
        folder !== '.',
      );
    });
  }
});

describe('configuration', () => {
  test('holds no secret', () => {
    for (const folder of ['.', ...FUNCTIONS.map((name) => `functions/${name}`)]) {
      const config = readWranglerConfig(folder);
      for (const secret of SECRETS) assert.ok(!Object.hasOwn(config.vars ?? {}, secret), `${secret} in ${folder}`);
    }
  });

  test('gives every function the same bindings', () => {
    const shape = (name: string): unknown => {
      const { vars, kv_namespaces, r2_buckets, compatibility_date } = readWranglerConfig(`functions/${name}`);
      return { vars, kv_namespaces, r2_buckets, compatibility_date };
    };
    for (const name of FUNCTIONS) assert.deepEqual(shape(name), shape(FUNCTIONS[0]), name);
  });

  test('binds the gateway to all five functions', () => {
    assert.deepEqual(
      readWranglerConfig('.').services?.map(({ service }) => service),
      [...FUNCTIONS],
    );
    const gateway = readFileSync(join(ROOT, 'gateway', 'index.js'), 'utf8');
    for (const { binding } of readWranglerConfig('.').services ?? []) assert.ok(gateway.includes(`'${binding}'`));
  });
});
