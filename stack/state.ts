import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { DemoUser } from './demo-tenants.ts';
import { StackFailure } from './failure.ts';
import { removeData } from './postgres.ts';

/** Must be the format that the supervisor knows (xtask/src/state.rs). */
const FORMAT = 'm23-state 1';

/** What stays when an ephemeral run is over: files of the supervisor, who removes them itself. */
const SUPERVISORS = new Set(['format', 'lock', 'ephemeral', 'kept']);

/** What `dev.json` says. */
export interface DevJson {
  url: string;
  anonKey: string;
  serviceRoleKey: string;
  databaseUrl: string;
  users: Pick<DemoUser, 'email' | 'password' | 'tenantId' | 'role'>[];
}

/** Makes the state folder, or refuses one that is not ours. */
export function prepareState(stateDir: string): void {
  mkdirSync(stateDir, { recursive: true });
  const format = join(stateDir, 'format');
  if (!existsSync(format)) {
    if (readdirSync(stateDir).length > 0)
      throw new StackFailure(`${stateDir} is not a state folder of M23: choose another`);
    writeFileSync(format, FORMAT);
  }
  if (readFileSync(format, 'utf8').trim() !== FORMAT)
    throw new StackFailure(`the state folder ${stateDir} has another format: choose another, or remove it`);
}

/** Empties the state folder of an ephemeral run. */
export function clearState(stateDir: string): void {
  if (!existsSync(stateDir)) return;
  removeData(stateDir);
  for (const name of readdirSync(stateDir)) {
    if (!SUPERVISORS.has(name)) rmSync(join(stateDir, name), { recursive: true, force: true });
  }
}

/** Publishes how the stack is reached; readers see the whole file or none. */
export function writeDevJson(stateDir: string, content: DevJson): void {
  const file = join(stateDir, 'dev.json');
  writeFileSync(`${file}.new`, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Takes the promise back. */
export function removeDevJson(stateDir: string): void {
  rmSync(join(stateDir, 'dev.json'), { force: true });
}
