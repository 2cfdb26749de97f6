// Tokens that nobody has signed as they are.
import type { Issuer } from '../../stack/issuer.ts';
import { oneOf } from './report.ts';

export interface Forgery {
  name: string;
  make(issuer: Issuer, user: string, proper: string, random: () => number): Promise<string> | string;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export const TOKENS: readonly Forgery[] = [
  { name: 'another character', make: (_, __, proper, random) => withAnotherCharacter(proper, random) },
  { name: 'cut off', make: (_, __, proper, random) => proper.slice(0, Math.floor(random() * proper.length)) || 'x' },
  { name: 'without its signature', make: (_, __, proper) => `${proper.split('.').slice(0, 2).join('.')}.` },
  { name: 'with one part more', make: (_, __, proper) => `${proper}.${proper.split('.')[2]}` },
  {
    name: 'parts of two',
    make: async (issuer, user, proper) =>
      splice(proper, await issuer.accessToken({ id: user, email: 'other@test.example' })),
  },
  { name: 'signed by nobody', make: (issuer, user) => issuer.sign({ sub: user }, { alg: 'none' }) },
  { name: 'signed with the public key', make: (issuer, user) => issuer.sign({ sub: user }, { alg: 'HS256' }) },
  {
    name: 'signed with a guessed secret',
    make: (issuer, user) => issuer.sign({ sub: user }, { alg: 'HS256', secret: 'secret' }),
  },
  { name: 'signed with another key', make: (issuer, user) => issuer.otherKeySign({ sub: user }) },
  {
    name: 'of an unknown key',
    make: (issuer, user, _, random) =>
      issuer.sign({ sub: user }, { kid: oneOf(['', '../../jwks', 'null', "' or 1=1"], random) }),
  },
  {
    name: 'expired',
    make: (issuer, user, _, random) => issuer.sign({ sub: user }, { expiresIn: -120 - Math.floor(random() * 1e6) }),
  },
  {
    name: 'for somebody else',
    make: (issuer, user, _, random) => issuer.sign({ sub: user, aud: oneOf(['anon', '', ['other'], null, 1], random) }),
  },
  {
    name: 'of another issuer',
    make: (issuer, user, _, random) =>
      issuer.sign({ sub: user, iss: oneOf(['', 'supabase', 'https://evil.example/auth/v1', null], random) }),
  },
  {
    name: 'of no user',
    make: (issuer, _, __, random) =>
      issuer.sign({ sub: oneOf([undefined, null, '', 'x', 1, {}, '00000000-0000-0000-0000'], random) }),
  },
  {
    name: 'valid later',
    make: (issuer, user) => issuer.sign({ sub: user, nbf: Math.floor(Date.now() / 1000) + 3600 }),
  },
  {
    name: 'with no time',
    make: (issuer, user, _, random) => issuer.sign({ sub: user, exp: oneOf([undefined, null, 'never', {}], random) }),
  },
  { name: 'of the anon key', make: (issuer) => issuer.projectKey('anon') },
];

/** Another character anywhere but for the last ones of a part, whose spare bits say nothing. */
function withAnotherCharacter(token: string, random: () => number): string {
  for (;;) {
    const at = Math.floor(random() * token.length);
    const was = token[at] ?? '';
    const now = oneOf([...ALPHABET], random);
    if (was !== '.' && was !== now && token[at + 1] !== '.' && at < token.length - 1)
      return token.slice(0, at) + now + token.slice(at + 1);
  }
}

function splice(one: string, other: string): string {
  const [head = '', , signature = ''] = one.split('.');
  return [head, other.split('.')[1], signature].join('.');
}
