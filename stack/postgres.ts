import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import pg from 'pg';

import { type Account, accountForPostgres, canReach, giveTo, letOthersPass } from './account.ts';
import { outsideFolder, usableDistribution } from './distribution.ts';
import { StackFailure, sentence } from './failure.ts';
import { type CrashListener, Part, waitUntil } from './part.ts';
import type { PostgresMajor } from './places.ts';
import { claimPort } from './ports.ts';

const START_WITHIN_MS = 30_000;

/** How a Postgres is set up. */
export interface PostgresOptions {
  /** The state folder; the database lies in `pg` under it. */
  stateDir: string;
  /** Nothing of it is kept, so it need not survive a power cut. */
  ephemeral: boolean;
  major?: PostgresMajor;
  /** Further settings, as in postgresql.conf. */
  settings?: Record<string, string>;
  /** The state folder of a stopped PostgreSQL: a new database begins as a copy of its. */
  copyOf?: string;
  onCrash: CrashListener;
}

/** A running PostgreSQL, on the loopback interface only. */
export class Postgres {
  readonly port: number;
  /** A superuser's address; its role owns everything that migrations make. */
  readonly url: string;
  readonly #start: () => Part;
  #part: Part;

  private constructor(port: number, password: string, start: () => Part) {
    this.port = port;
    this.url = addressOf('postgres', password, port);
    this.#start = start;
    this.#part = start();
  }

  /** Starts it, making the database first where there is none. */
  static async start(options: PostgresOptions): Promise<Postgres> {
    const major = options.major ?? 17;
    const account = accountForPostgres();
    const distribution = usableDistribution(major, account);
    const data = placeForData(options.stateDir, account);
    const isNew = !existsSync(join(data, 'PG_VERSION'));
    if (isNew && options.copyOf !== undefined) copy(options.copyOf, options.stateDir, data);
    const password = passwordOf(options.stateDir);
    if (isNew && options.copyOf === undefined) await initialise(distribution, data, password, major, account);
    refuseStale(data, major);
    const port = await claimPort();
    const args = ['-D', data, ...settings(port, options)];
    const postgres = new Postgres(
      port,
      password,
      () =>
        new Part({
          name: 'PostgreSQL',
          program: join(distribution, 'bin', 'postgres'),
          args,
          logFile: join(options.stateDir, 'postgres.log'),
          spawn: { cwd: '/', ...account },
          // Fast shutdown: sessions are ended, the data is written.
          stopSignal: 'SIGINT',
          onCrash: options.onCrash,
        }),
    );
    await postgres.#ready();
    return postgres;
  }

  /** The address for another role. */
  urlFor(role: string, password: string): string {
    return addressOf(role, password, this.port);
  }

  /** A new connection of the superuser; the caller ends it. */
  async connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url });
    // A connection that Postgres ends (a restart) must not end this process.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** Stops it and starts it again on the same data and port. */
  async restart(): Promise<void> {
    await this.#part.stop();
    this.#part = this.#start();
    await this.#ready();
  }

  /** Stops it in order. */
  async stop(): Promise<void> {
    await this.#part.stop();
  }

  async #ready(): Promise<void> {
    const answers = async (): Promise<boolean> => {
      // A copy has no other database yet.
      const client = new pg.Client({ connectionString: this.url.replace(/postgres$/, 'template1') });
      client.on('error', () => undefined);
      await client.connect();
      await client.end();
      return true;
    };
    if (await waitUntil(answers, START_WITHIN_MS, () => this.#part.running)) return;
    await this.#part.stop();
    throw new StackFailure(`PostgreSQL did not start: ${this.#part.lastWords()}`);
  }
}

/** Removes the database of a state folder, wherever it lies. */
export function removeData(stateDir: string): void {
  const place = join(stateDir, 'pg');
  if (lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink())
    rmSync(dirname(readlinkSync(place)), { recursive: true, force: true });
  rmSync(place, { recursive: true, force: true });
}

function addressOf(role: string, password: string, port: number): string {
  return `postgresql://${role}:${password}@127.0.0.1:${port}/postgres`;
}

/** `pg` in the state folder; outside it where Postgres's account could not get there. */
function placeForData(stateDir: string, account: Account | undefined): string {
  letOthersPass(stateDir, account);
  const place = join(stateDir, 'pg');
  if (lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink()) return readlinkSync(place);
  if (existsSync(place)) return place;
  if (canReach(stateDir, account)) {
    mkdirSync(place, { mode: 0o700 });
    giveTo(place, account);
    return place;
  }
  const data = join(outsideFolder('data', stateDir), 'pg');
  // Nothing points to what may lie there from a state folder that was removed.
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data, { mode: 0o700 });
  giveTo(data, account);
  symlinkSync(data, place);
  return data;
}

function passwordOf(stateDir: string): string {
  const file = join(stateDir, 'postgres-password');
  if (!existsSync(file)) writeFileSync(file, randomBytes(18).toString('hex'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

function copy(from: string, stateDir: string, data: string): void {
  rmSync(data, { recursive: true, force: true });
  // `cp` keeps the account that the files belong to.
  execFileSync('cp', ['-a', realpathSync(join(from, 'pg')), data]);
  copyFileSync(join(from, 'postgres-password'), join(stateDir, 'postgres-password'));
}

/** Makes the database beside its place and moves it there, so that its place never holds half of one. */
async function initialise(
  distribution: string,
  data: string,
  password: string,
  major: PostgresMajor,
  account: Account | undefined,
): Promise<void> {
  const fresh = `${data}.new`;
  const passwordFile = `${data}.password`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  giveTo(fresh, account);
  writeFileSync(passwordFile, password, { mode: 0o600 });
  giveTo(passwordFile, account);
  const locale = major >= 17 ? ['--locale-provider=builtin', '--locale=C.UTF-8'] : ['--no-locale'];
  const args = [
    '-D',
    fresh,
    '-U',
    'postgres',
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--no-sync',
    '--no-instructions',
    ...locale,
  ];
  try {
    await promisify(execFile)(join(distribution, 'bin', 'initdb'), args, { cwd: '/', ...account });
    rmSync(data, { recursive: true, force: true });
    renameSync(fresh, data);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    throw new StackFailure(`the database could not be made: ${sentence(error).trim().split('\n').slice(-2).join(' ')}`);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/** Refuses data of another version, or that another Postgres still has; forgets a dead one. */
function refuseStale(data: string, major: PostgresMajor): void {
  const version = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
  if (version !== String(major)) {
    throw new StackFailure(
      `the state folder holds a database of PostgreSQL ${version}, and this stack runs ${major}: choose another with --state-dir, or remove it`,
    );
  }
  const lock = join(data, 'postmaster.pid');
  if (!existsSync(lock)) return;
  const pid = Number(readFileSync(lock, 'utf8').split('\n')[0]);
  if (isPostgresOn(pid, data)) {
    throw new StackFailure(
      `the database in ${data} is still in use by process ${pid} of an earlier run: end it with \`kill -INT ${pid}\`, or choose another state folder with --state-dir`,
    );
  }
  rmSync(lock);
}

function isPostgresOn(pid: number, data: string): boolean {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  try {
    // Postgres works in its data folder; a process number that went to somebody else does not.
    return statSync(`/proc/${pid}/cwd`).ino === statSync(data).ino;
  } catch {
    return process.platform !== 'linux';
  }
}

function settings(port: number, options: PostgresOptions): string[] {
  const durable = options.ephemeral ? 'off' : 'on';
  const all: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    track_commit_timestamp: 'on',
    fsync: durable,
    full_page_writes: durable,
    synchronous_commit: durable,
    ...options.settings,
  };
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}
