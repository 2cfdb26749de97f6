// What each error means for the person who meets it, and what to do.
import type { M23Error, M23ErrorCode } from '../../client/src/errors.ts';

/** An error in words: what happened, and the way on. */
export interface Told {
  title: string;
  way: string;
  /** How grave it is: `run` when something only has to end first. */
  kind: 'bad' | 'warn' | 'run';
}

const WORDS: Readonly<Record<M23ErrorCode, Told>> = {
  AUTH_REQUIRED: {
    kind: 'warn',
    title: 'You were signed out.',
    way: 'Your choice is kept. Sign in, and you are back here.',
  },
  TENANT_NOT_FOUND: { kind: 'bad', title: 'Nothing here, or not yours.', way: 'Check the link, or ask for access.' },
  INSUFFICIENT_PERMISSIONS: {
    kind: 'warn',
    title: 'Your role does not allow this.',
    way: 'Ask an owner or admin of this tenant.',
  },
  VALIDATION_FAILED: {
    kind: 'warn',
    title: 'This cannot be done as asked.',
    way: 'Choose another moment or other tables.',
  },
  BACKUP_NOT_FOUND: { kind: 'warn', title: 'There is no such backup.', way: 'Choose another one, or make one.' },
  SNAPSHOT_NOT_FOUND: {
    kind: 'warn',
    title: 'This restore cannot be undone any more.',
    way: 'It was undone already, or its last day is over.',
  },
  RESTORE_IN_PROGRESS: {
    kind: 'run',
    title: 'Somebody is restoring this tenant right now.',
    way: 'Nothing was changed by you. Yours can follow it.',
  },
  RATE_LIMIT_EXCEEDED: { kind: 'warn', title: 'The limit of this hour is reached.', way: 'Nothing was changed.' },
  METHOD_NOT_ALLOWED: {
    kind: 'bad',
    title: 'The service does not know this call.',
    way: 'Load the page again: it may be older than the service.',
  },
  NOT_FOUND: { kind: 'warn', title: 'Nothing here, or not yours.', way: 'Check the link.' },
  PAYLOAD_TOO_LARGE: { kind: 'warn', title: 'The choice is too large.', way: 'Choose fewer tables or rows.' },
  PLAN_CHANGED: {
    kind: 'warn',
    title: 'Rows have changed since you looked.',
    way: 'Nothing was written. Look again, then restore.',
  },
  CONFLICT: {
    kind: 'warn',
    title: 'Some rows cannot go back as they were.',
    way: 'Nothing was changed. Say below what becomes of them.',
  },
  BACKUP_UNUSABLE: {
    kind: 'bad',
    title: 'This backup is damaged.',
    way: 'Nothing was changed. Use another backup of this tenant.',
  },
  UNAVAILABLE: { kind: 'bad', title: 'The service does not answer.', way: 'Check the connection, then try again.' },
  INTERNAL: {
    kind: 'bad',
    title: 'Something went wrong inside the service.',
    way: 'Try again. If it stays, give the number below to the operator.',
  },
  WORK_FAILED: { kind: 'bad', title: 'The work failed.', way: 'Nothing was changed.' },
  WORK_CANCELLED: { kind: 'warn', title: 'The work was stopped.', way: 'Nothing was changed.' },
};

/** An error in words. */
export function inWords(error: M23Error): Told {
  const told = WORDS[error.code];
  if (error.code !== 'RATE_LIMIT_EXCEEDED' || error.retryAfter === undefined) return told;
  return { ...told, way: `Nothing was changed. Free again ${inMinutes(error.retryAfter)}.` };
}

function inMinutes(seconds: number): string {
  return seconds < 90 ? `in ${seconds} s` : `in ${Math.ceil(seconds / 60)} min`;
}
