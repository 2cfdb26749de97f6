/** What the page is set up with: `config.json` beside it, which a browser may read. */
export interface Config {
  /** Where the API is. */
  readonly address: string;
  readonly anonKey: string;
}

/** Reads the settings; throws with a sentence for a person. */
export async function readConfig(): Promise<Config> {
  const answer = await fetch(new URL('config.json', document.baseURI));
  const { address = '', anonKey = '' } = (answer.ok ? await answer.json() : {}) as Partial<Config>;
  if (anonKey === '') throw new Error('This console is not set up: its config.json has no anonKey.');
  if (isSecret(anonKey))
    throw new Error('This console is set up with a secret key. Put the anon key in its config.json.');
  return { address: address === '' ? location.origin : address.replace(/\/$/, ''), anonKey };
}

/** Whether a key is one that no page may hold. */
export function isSecret(key: string): boolean {
  if (key.startsWith('sb_secret_')) return true;
  const claims = key.split('.')[1];
  if (claims === undefined) return false;
  try {
    return JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/'))).role === 'service_role';
  } catch {
    return false;
  }
}
