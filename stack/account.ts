import { chmodSync, chownSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** The account that Postgres runs under where we are root: Postgres refuses to run as root. */
export interface Account {
  uid: number;
  gid: number;
}

/** `nobody` on Linux and macOS alike has no rights anywhere, which is all that is asked of it. */
const NOBODY: Account = { uid: 65534, gid: 65534 };

/** The account to switch to, or `undefined` when we are not root and need not switch. */
export function accountForPostgres(): Account | undefined {
  return process.getuid?.() === 0 ? NOBODY : undefined;
}

/** Gives a file or folder to the account. */
export function giveTo(path: string, account: Account | undefined): void {
  if (account !== undefined) chownSync(path, account.uid, account.gid);
}

/** Whether the account can get to a path: each folder above it must let it pass. */
export function canReach(path: string, account: Account | undefined): boolean {
  if (account === undefined) return true;
  for (let folder = path; ; folder = dirname(folder)) {
    if (!letsPass(folder, account)) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** Lets others pass through a folder of ours, without letting them list it. */
export function letOthersPass(folder: string, account: Account | undefined): void {
  if (account !== undefined && !letsPass(folder, account)) chmodSync(folder, 0o711);
}

function letsPass(folder: string, account: Account): boolean {
  const { mode, uid, gid } = statSync(folder);
  const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
  return (mode & bit) !== 0;
}
