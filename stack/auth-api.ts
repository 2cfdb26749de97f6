import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

import { createLocalJWKSet, jwtVerify } from 'jose';

import { appMetadata, type DemoUser } from './demo-tenants.ts';
import { type Issuer, TOKEN_SECONDS } from './issuer.ts';

const LARGEST_BODY = 64 * 1024;

interface Answer {
  status: number;
  body?: unknown;
}

/**
 * The part of Supabase's auth API that supabase-js uses to sign in, stay signed in and sign out.
 * For development only.
 */
export class AuthApi {
  readonly #issuer: Issuer;
  readonly #users: readonly DemoUser[];
  readonly #refreshTokens = new Map<string, DemoUser>();

  constructor(issuer: Issuer, users: readonly DemoUser[]) {
    this.#issuer = issuer;
    this.#users = users;
  }

  /** Answers a request whose path begins with `/auth/v1`. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = request.method === 'OPTIONS' ? { status: 204 } : await this.#route(request);
    response.writeHead(answer.status, {
      'content-type': 'application/json',
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, POST, OPTIONS',
      'access-control-allow-headers': request.headers['access-control-request-headers'] ?? '*',
    });
    response.end(answer.body === undefined ? undefined : JSON.stringify(answer.body));
  }

  async #route(request: IncomingMessage): Promise<Answer> {
    const url = new URL(request.url ?? '/', 'http://issuer');
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /auth/v1/.well-known/jwks.json':
        return { status: 200, body: JSON.parse(this.#issuer.jwks) };
      case 'GET /auth/v1/health':
        return {
          status: 200,
          body: { name: 'M23 development issuer', description: 'For development only: not an authentication server' },
        };
      case 'POST /auth/v1/token':
        return await this.#token(url.searchParams.get('grant_type'), await readJson(request));
      case 'GET /auth/v1/user':
        return await this.#user(request);
      case 'POST /auth/v1/logout':
        return await this.#logout(request);
      default:
        return refusal(404, 'not_found', 'The development issuer does not have this address.');
    }
  }

  async #token(grant: string | null, body: Record<string, unknown>): Promise<Answer> {
    if (grant === 'password') {
      const user = this.#users.find((one) => one.email === String(body['email']).toLowerCase());
      if (user === undefined || !same(user.password, String(body['password']))) {
        return refusal(400, 'invalid_credentials', 'Invalid login credentials');
      }
      return await this.#session(user);
    }
    if (grant === 'refresh_token') {
      const token = String(body['refresh_token']);
      const user = this.#refreshTokens.get(token);
      if (user === undefined)
        return refusal(400, 'refresh_token_not_found', 'Invalid Refresh Token: Refresh Token Not Found');
      this.#refreshTokens.delete(token);
      return await this.#session(user);
    }
    return refusal(400, 'validation_failed', 'The development issuer knows the grants password and refresh_token.');
  }

  async #session(user: DemoUser): Promise<Answer> {
    const refreshToken = randomBytes(9).toString('base64url');
    this.#refreshTokens.set(refreshToken, user);
    return {
      status: 200,
      body: {
        access_token: await this.#issuer.accessToken(user),
        token_type: 'bearer',
        expires_in: TOKEN_SECONDS,
        expires_at: Math.floor(Date.now() / 1000) + TOKEN_SECONDS,
        refresh_token: refreshToken,
        user: publicUser(user),
      },
    };
  }

  async #user(request: IncomingMessage): Promise<Answer> {
    const user = await this.#bearer(request);
    return user === undefined
      ? refusal(401, 'bad_jwt', 'Invalid access token')
      : { status: 200, body: publicUser(user) };
  }

  async #logout(request: IncomingMessage): Promise<Answer> {
    const user = await this.#bearer(request);
    for (const [token, owner] of this.#refreshTokens) {
      if (owner === user) this.#refreshTokens.delete(token);
    }
    return { status: 204 };
  }

  async #bearer(request: IncomingMessage): Promise<DemoUser | undefined> {
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    try {
      const keys = createLocalJWKSet({ keys: [this.#issuer.publicJwk] });
      const { payload } = await jwtVerify(token, keys, { issuer: this.#issuer.address, audience: 'authenticated' });
      return this.#users.find((user) => user.id === payload.sub);
    } catch {
      return undefined;
    }
  }
}

function publicUser(user: DemoUser): Record<string, unknown> {
  const since = '2026-01-01T00:00:00Z';
  return {
    id: user.id,
    aud: 'authenticated',
    role: 'authenticated',
    email: user.email,
    email_confirmed_at: since,
    confirmed_at: since,
    phone: '',
    app_metadata: appMetadata(user),
    user_metadata: {},
    identities: [],
    created_at: since,
    updated_at: since,
    is_anonymous: false,
  };
}

function refusal(status: number, code: string, message: string): Answer {
  return { status, body: { code: status, error_code: code, msg: message } };
}

function same(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > LARGEST_BODY) return {};
  }
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
