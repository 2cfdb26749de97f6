// What dies at a step.
import { pause } from '../fixtures/time.ts';
import type { Step } from './gate.ts';
import type { World } from './world.ts';

/** What a death needs to know of the work that it meets. */
export interface Victim {
  world: World;
  /** The backend that is within the call. */
  backend: number | undefined;
  /** Whoever has asked. */
  caller: AbortController;
}

export interface Death {
  name: string;
  /** Whether the call, or its answer, is lost with it. */
  loses(at: Step['at']): boolean;
  /** Whether the backend ends itself at a step within the database; it waits there otherwise. */
  ends?: boolean;
  strike(victim: Victim): Promise<void>;
  /** Brings back what does not come back by itself. */
  revive?(world: World): Promise<void>;
}

const never = (): boolean => false;
const always = (): boolean => true;

export const DEATHS: readonly Death[] = [
  { name: 'the Worker', loses: always, strike: ({ world }) => world.stack.restartWorkers() },
  { name: 'the connection', loses: always, strike: () => Promise.resolve() },
  { name: 'the caller', loses: never, strike: async ({ caller }) => caller.abort() },
  {
    name: 'PostgREST',
    loses: (at) => at === 'after',
    strike: ({ world }) => world.stack.killPostgrest(),
    revive: (world) => world.stack.restartPostgrest(),
  },
  {
    name: 'the backend',
    loses: never,
    ends: true,
    strike: async ({ world, backend }) => {
      const pids = backend === undefined ? await world.backends() : [backend];
      await world.client.query('select pg_terminate_backend(pid) from unnest($1::int[]) pid', [pids]);
    },
  },
  { name: 'Postgres', loses: never, strike: ({ world, backend }) => crash(world, backend) },
];

/** Ends a backend without a word: every session ends with it, and what is not in the write-ahead log is gone. */
async function crash(world: World, backend: number | undefined): Promise<void> {
  const {
    rows: [mine],
  } = await world.client.query<{ pid: number }>('select pg_backend_pid() as pid');
  process.kill(backend ?? mine?.pid ?? 0, 'SIGKILL');
  await pause(50);
  await world.reconnect();
}
