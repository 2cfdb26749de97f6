import { globSync } from 'node:fs';
import { join } from 'node:path';

import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

import { Miniflare } from '../stack/miniflare.ts';
import { ROOT } from '../stack/places.ts';
import { type FunctionName, readWranglerConfig } from '../stack/wrangler-config.ts';

const PROJECT = 'https://project.example';
const SHARED_SECRET = 'a-shared-secret-for-tests-only-0123456789';

/** What the project behind a function answers; the path is below the project's address. */
export type Answer = (path: string, body: string) => Response | Promise<Response>;

/** How a token is signed. */
export type Signer = 'ES256' | 'RS256' | 'HS256';

/**
 * One built function alone in workerd. Everything it asks of the outside goes to `answer`; the
 * issuer has one key of each kind, and nothing is kept.
 */
export class ClosedWorld {
  answer: Answer = () => Response.json({ tenant_id: null, role: null, allowed: false, used: 0, reset: 0, faults: [] });
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  /** Lines that the function has logged. */
  readonly logged: string[] = [];
  keySet: { keys: JWK[] } = { keys: [] };
  readonly #miniflare: Miniflare;
  readonly #keys: Awaited<ReturnType<typeof keyPairs>>;

  private constructor(name: FunctionName, keys: Awaited<ReturnType<typeof keyPairs>>, vars: Record<string, string>) {
    this.#keys = keys;
    const { compatibility_date, compatibility_flags } = readWranglerConfig(`functions/${name}`);
    const modulesRoot = join(ROOT, 'functions', name, 'build');
    const others = globSync('**/*.{js,wasm}', { cwd: modulesRoot }).filter((file) => file !== 'index.js');
    this.#miniflare = new Miniflare({
      cf: false,
      compatibilityDate: compatibility_date,
      compatibilityFlags: compatibility_flags ?? [],
      modulesRoot,
      modules: ['index.js', ...others].map((file) => ({
        type: file.endsWith('.wasm') ? 'CompiledWasm' : 'ESModule',
        path: join(modulesRoot, file),
      })),
      kvNamespaces: ['RATE_LIMIT_KV'],
      r2Buckets: ['ARCHIVES'],
      bindings: {
        SUPABASE_URL: PROJECT,
        SUPABASE_ANON_KEY: 'anon',
        SUPABASE_SERVICE_ROLE_KEY: 'the-service-key',
        SUPABASE_JWT_SECRET: SHARED_SECRET,
        ...vars,
      },
      handleStructuredLogs: ({ message }: { message: string }) => void this.logged.push(message),
      outboundService: async (request: { url: string; text(): Promise<string> }) => this.#respond(request) as never,
    });
  }

  static async open(name: FunctionName, vars: Record<string, string> = {}): Promise<ClosedWorld> {
    const keys = await keyPairs();
    const world = new ClosedWorld(name, keys, vars);
    world.keySet = { keys: [keys.ES256.jwk, keys.RS256.jwk] };
    await world.#miniflare.ready;
    return world;
  }

  async token(alg: Signer): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: `${PROJECT}/auth/v1`,
      aud: 'authenticated',
      role: 'authenticated',
      sub: '6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11',
      exp: now + 60,
    };
    const key = alg === 'HS256' ? new TextEncoder().encode(SHARED_SECRET) : this.#keys[alg].privateKey;
    return await new SignJWT(claims).setProtectedHeader({ alg, kid: alg === 'HS256' ? 'legacy' : alg }).sign(key);
  }

  async call(
    token: string,
    body: unknown,
  ): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
    const init = { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: JSON.stringify(body) };
    const response = await this.#miniflare.dispatchFetch('https://edge.example/', init);
    const headers = new Headers([...response.headers] as [string, string][]);
    return { status: response.status, headers, body: (await response.json()) as Record<string, unknown> };
  }

  async close(): Promise<void> {
    await this.#miniflare.dispose();
  }

  async #respond(request: { url: string; text(): Promise<string> }): Promise<Response> {
    const path = request.url.slice(PROJECT.length);
    if (!request.url.startsWith(`${PROJECT}/`)) throw new Error(`the function asked for ${request.url}`);
    this.asked.push(path);
    if (path === '/auth/v1/.well-known/jwks.json') return Response.json(this.keySet);
    return this.answer(path, await request.text());
  }
}

async function keyPairs(): Promise<Record<'ES256' | 'RS256', { privateKey: CryptoKey; jwk: JWK }>> {
  const pair = async (alg: string): Promise<{ privateKey: CryptoKey; jwk: JWK }> => {
    const { privateKey, publicKey } = await generateKeyPair(alg);
    return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid: alg } };
  };
  return { ES256: await pair('ES256'), RS256: await pair('RS256') };
}
