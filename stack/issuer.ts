import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  SignJWT,
  UnsecuredJWT,
} from 'jose';

import { appMetadata, type DemoUser } from './demo-tenants.ts';

const ALGORITHM = 'ES256';
/** How long an access token is good for, in seconds. */
export const TOKEN_SECONDS = 3600;
const TEN_YEARS = 10 * 365 * 24 * 3600;

/** What a token says. A claim that is `undefined` is left out. */
export type Claims = Record<string, unknown>;

/** How a token for a test departs from a proper one. */
export interface SignOptions {
  /** `none`, or `HS256` (signed with `secret`, or with the public key's text as the secret). */
  alg?: 'ES256' | 'HS256' | 'none';
  kid?: string;
  /** Seconds from now; negative for a token that has expired. */
  expiresIn?: number;
  /** Further members of the token's header. */
  header?: Record<string, unknown>;
  secret?: string;
}

/**
 * The development issuer: signs access tokens shaped like Supabase's with a key of its own. For
 * development only. It checks passwords that everybody can read and forgets sessions when it ends.
 */
export class Issuer {
  readonly address: string;
  readonly publicJwk: JWK;
  readonly #key: CryptoKey | Uint8Array;
  readonly #other: CryptoKey;

  private constructor(address: string, publicJwk: JWK, key: CryptoKey | Uint8Array, other: CryptoKey) {
    this.address = address;
    this.publicJwk = publicJwk;
    this.#key = key;
    this.#other = other;
  }

  /** `address` is what tokens carry as `iss`. The key stays in the state folder. */
  static async open(stateDir: string, address: string): Promise<Issuer> {
    const jwk = await keyIn(join(stateDir, 'issuer-key.json'));
    const { d: _secret, ...publicJwk } = jwk;
    const { privateKey } = await generateKeyPair(ALGORITHM);
    return new Issuer(address, publicJwk, await importJWK(jwk, ALGORITHM), privateKey);
  }

  /** The keys that tokens are verified with, as JSON. */
  get jwks(): string {
    return JSON.stringify({ keys: [this.publicJwk] });
  }

  /** An access token of a user, with claims changed or added. */
  async accessToken(
    user: Pick<DemoUser, 'id' | 'email' | 'isPlatform'>,
    claims: Claims = {},
    options: SignOptions = {},
  ): Promise<string> {
    return await this.sign(
      {
        sub: user.id,
        email: user.email,
        phone: '',
        app_metadata: appMetadata(user),
        user_metadata: {},
        aal: 'aal1',
        amr: [{ method: 'password', timestamp: seconds() }],
        session_id: randomUUID(),
        is_anonymous: false,
        ...claims,
      },
      options,
    );
  }

  /** The project's anon or service key. */
  async projectKey(role: 'anon' | 'service_role'): Promise<string> {
    return await this.sign({ iss: 'supabase', role, aud: undefined }, { expiresIn: TEN_YEARS });
  }

  /** Signs claims over the usual ones (`iss`, `aud`, `role`, `iat`, `exp`). */
  async sign(claims: Claims, options: SignOptions = {}): Promise<string> {
    const payload = this.#payload(claims, options);
    const alg = options.alg ?? ALGORITHM;
    if (alg === 'none') return new UnsecuredJWT(payload).encode();
    const key =
      alg === 'HS256' ? new TextEncoder().encode(options.secret ?? JSON.stringify(this.publicJwk)) : this.#key;
    return await new SignJWT(payload).setProtectedHeader(this.#header(alg, options)).sign(key);
  }

  /** A token that names our key but is signed with another. */
  async otherKeySign(claims: Claims, options: SignOptions = {}): Promise<string> {
    const payload = this.#payload(claims, options);
    return await new SignJWT(payload).setProtectedHeader(this.#header(ALGORITHM, options)).sign(this.#other);
  }

  #payload(claims: Claims, { expiresIn = TOKEN_SECONDS }: SignOptions): Claims {
    const now = seconds();
    const all = {
      iss: this.address,
      aud: 'authenticated',
      role: 'authenticated',
      iat: now,
      exp: now + expiresIn,
      ...claims,
    };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  }

  #header(alg: string, options: SignOptions): { alg: string } & Record<string, unknown> {
    return { typ: 'JWT', kid: options.kid ?? this.publicJwk.kid, ...options.header, alg };
  }
}

async function keyIn(file: string): Promise<JWK> {
  if (!existsSync(file)) {
    const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
    const jwk = await exportJWK(privateKey);
    const key: JWK = { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: ALGORITHM, use: 'sig' };
    writeFileSync(file, JSON.stringify(key), { mode: 0o600 });
  }
  return JSON.parse(readFileSync(file, 'utf8')) as JWK;
}

function seconds(): number {
  return Math.floor(Date.now() / 1000);
}
