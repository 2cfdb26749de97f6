// Reading: one request a view at a time, given up when the view asks for something else.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

import { M23Error } from '../../client/src/errors.ts';
import { pause } from '../../client/src/pause.ts';
import { sessionEnded } from './session.ts';

/** What has been read so far. */
export interface Loaded<Data> {
  /** The newest answer; that of the question before stays until there is one. */
  data: Data | undefined;
  error: M23Error | undefined;
  /** Whether an answer is on its way. */
  busy: boolean;
  /** Asks again. */
  again(): void;
}

const RETRY_AFTER_MS = 1000;
const RETRIES = 8;

/**
 * Asks when `key` changes, after `restMs` without a further change; a null key asks nothing. What another look keeps
 * busy (503) is asked again. The answers of another key's question are dropped when `keep` is false.
 */
export function useLoad<Data>(
  key: string | null,
  ask: (signal: AbortSignal) => Promise<Data>,
  { restMs = 0, keep = true }: { restMs?: number; keep?: boolean } = {},
): Loaded<Data> {
  const [state, setState] = useState<{ key?: string; data?: Data; error?: M23Error; busy: boolean }>({ busy: true });
  const [turn, setTurn] = useState(0);
  const latest = useRef(ask);
  latest.current = ask;

  useEffect(() => {
    if (key === null) return;
    const controller = new AbortController();
    const { signal } = controller;
    setState((before) => ({ ...before, busy: true }));
    const work = async (): Promise<void> => {
      await pause(restMs, signal);
      const data = await retried(() => latest.current(signal), signal);
      setState({ key, data, busy: false });
    };
    work().catch((error: unknown) => {
      if (signal.aborted) return;
      setState((before) => ({ ...before, key, error: toldError(error), busy: false }));
    });
    return () => controller.abort();
  }, [key, turn, restMs]);

  const current = state.key === key;
  return {
    data: current || keep ? state.data : undefined,
    error: current ? state.error : undefined,
    busy: key !== null && (state.busy || !current),
    again: useCallback(() => setTurn((n) => n + 1), []),
  };
}

/** Does work again that another look keeps from being done (503). */
export async function retried<Data>(work: () => Promise<Data>, signal: AbortSignal): Promise<Data> {
  for (let left = RETRIES; ; left -= 1) {
    try {
      return await work();
    } catch (error) {
      const busy = error instanceof M23Error && error.code === 'UNAVAILABLE' && error.status === 503;
      if (!busy || left === 0) throw error;
      await pause(RETRY_AFTER_MS, signal);
    }
  }
}

/** Any failure as one of ours; a session that is over asks to sign in again. */
export function toldError(error: unknown): M23Error {
  if (error instanceof M23Error) {
    if (error.code === 'AUTH_REQUIRED') sessionEnded();
    return error;
  }
  return new M23Error(error instanceof Error ? error.message : String(error), { code: 'INTERNAL', cause: error });
}
