// Cuts: at a step of an operation something dies. Afterwards all is done or nothing, and the next call works.
import assert from 'node:assert/strict';

import { everyApiSessionAnswers } from '../fixtures/sessions.ts';
import { eventually, randomNumbers } from '../fixtures/time.ts';
import { DEATHS, type Death } from './deaths.ts';
import type { Passed, Step, Stop } from './gate.ts';
import { newScene, OPERATIONS, type Operation, type Scene } from './operations.ts';
import { type Ends, going, type Report, shuffled } from './report.ts';
import { assertSettled, idle, type Prepared, prepared } from './settled.ts';
import { WITHIN_MS, World } from './world.ts';

/** One thing that dies at one step of one operation. */
interface Cut {
  operation: Operation;
  step: Step;
  death: Death;
}

/** A tenant's log grows with its restores: after so many cuts another takes its place. */
const CUTS_A_SCENE = 20;

/** Longer than a Worker is busy between two calls, and than it waits before it tries one again. */
const QUIET_MS = 4_000;

/** How far a run of cuts goes, beside its time. */
export interface Bounds {
  operations?: number;
  cuts?: number;
}

/** Makes cuts in the order of a seed, each once, the operations by turns. */
export async function runCuts(
  stateDir: string,
  ends: Ends,
  seed: number,
  report: Report,
  { operations, cuts = Infinity }: Bounds = {},
): Promise<void> {
  const world = await World.open(stateDir);
  try {
    const random = randomNumbers(seed);
    const lists: Cut[][] = [];
    for (const operation of shuffled(OPERATIONS, random).slice(0, operations)) {
      const cutsOfIt = await cutsOf(world, operation);
      report.say(`${operation.name}: ${cutsOfIt.length} cuts`);
      lists.push(shuffled(cutsOfIt, random));
    }
    report.count('operations', lists.length);
    const known = lists.reduce((sum, list) => sum + list.length, 0);
    report.count('distinct cuts that there are', known);
    const scenes = new Scenes(world);
    const turns = interleaved(lists);
    while (going(ends) && turns.length > 0 && report.counted('distinct cuts made') < cuts)
      await makeCut(world, scenes, turns.shift() as Cut, report);
  } finally {
    await world.close();
  }
}

function interleaved(lists: readonly Cut[][]): Cut[] {
  const longest = Math.max(...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, n) => lists.flatMap((list) => list.slice(n, n + 1))).flat();
}

/** Each operation has a tenant of its own, and another one now and then. */
class Scenes {
  readonly #world: World;
  readonly #scenes = new Map<Operation, { scene: Scene; cuts: number }>();

  constructor(world: World) {
    this.#world = world;
  }

  async of(operation: Operation): Promise<Scene> {
    const known = this.#scenes.get(operation);
    if (known !== undefined && known.cuts < CUTS_A_SCENE) {
      known.cuts += 1;
      return known.scene;
    }
    const scene = await newScene(this.#world);
    this.#scenes.set(operation, { scene, cuts: 1 });
    return scene;
  }
}

/** Every cut of an operation: its steps are found by doing it once. */
async function cutsOf(world: World, operation: Operation): Promise<Cut[]> {
  const situation = await prepared(world, operation, await newScene(world));
  let said: string | number = '';
  const passed = await world.gate.measure(
    () => world.countSteps(),
    async () => {
      said = await operation.call(world, situation);
      await idle(world, situation);
    },
  );
  assert.ok(
    (await assertSettled(world, operation, situation, said)) || operation.leavesNoRow === true,
    `${operation.name} without a cut: ${said}`,
  );
  return passed.flatMap(stepsOf).flatMap((step) => DEATHS.map((death) => ({ operation, step, death })));
}

function stepsOf({ call, nth, steps }: Passed): Step[] {
  const within = Array.from({ length: steps }, (_, n) => n + 1);
  return (['before', ...within, 'after'] as const).map((at) => ({ call, nth, at }));
}

/** Makes a cut and checks what comes after. */
async function makeCut(world: World, scenes: Scenes, { operation, step, death }: Cut, report: Report): Promise<void> {
  const where = typeof step.at === 'number' ? `in step ${step.at} of` : step.at;
  const what = `${operation.name}: ${death.name} dies ${where} ${step.call} no. ${step.nth}`;
  try {
    const scene = await scenes.of(operation);
    const situation = await prepared(world, operation, scene);
    const { reached, said } = await disturb(world, operation, situation, step, death);
    const done = await assertSettled(world, operation, situation, said);
    await everyApiSessionAnswers(world.stack);
    await assertWorks(
      world,
      operation,
      situation.outcome !== undefined && !done ? situation : await prepared(world, operation, scene),
    );
    report.count(reached ? 'distinct cuts made' : 'steps that did not come again');
    if (reached) report.count(`where ${death.name} dies`);
    if (reached) report.count(done ? 'done all the same' : 'not done');
    report.progress(() => `${report.counted('distinct cuts made')} cuts; ${what}; the answer was ${said}`);
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  }
}

/** Does it, and has something die at the step. */
async function disturb(
  world: World,
  operation: Operation,
  situation: Prepared,
  step: Step,
  death: Death,
): Promise<{ reached: boolean; said: string | number }> {
  const within = typeof step.at === 'number';
  const ends = within && death.ends === true;
  if (within && !ends) await world.holdSteps();
  const stop = world.gate.stopAt(step, ends);
  const caller = new AbortController();
  const answer = operation
    .call(world, situation, caller.signal)
    .catch((error: unknown) => `no answer: ${String(error)}`);
  const backend = within && !ends ? await backendAt(world, stop, over(world, situation, answer)) : undefined;
  const reached =
    within && !ends
      ? backend !== undefined
      : await Promise.race([stop.reached.then(() => true), over(world, situation, answer).then(() => false)]);
  if (reached && !ends) await death.strike({ world, backend, caller });
  stop.release(reached && death.loses(step.at));
  if (within && !ends) await world.letStepsGo();
  await death.revive?.(world);
  world.gate.open();
  if (caller.signal.aborted) await world.gate.quiet(QUIET_MS, WITHIN_MS);
  return { reached, said: await answer };
}

/** The answer has come, and nothing goes on after it. */
async function over(world: World, situation: Prepared, answer: Promise<unknown>): Promise<void> {
  await answer;
  await idle(world, situation);
}

/** The backend that waits at a step; undefined when everything is over without it. */
async function backendAt(world: World, stop: Stop, end: Promise<void>): Promise<number | undefined> {
  let ended = false;
  const note = (): void => {
    ended = true;
  };
  void end.then(note, note);
  const look = async (): Promise<number | undefined> => await world.heldBackend();
  const backend = await eventually(look, (pid) => pid !== undefined || ended, WITHIN_MS);
  if (backend === undefined) stop.release(false);
  return backend;
}

/** The next call works, and does what is wanted. The database may still be coming back. */
async function assertWorks(world: World, operation: Operation, situation: Prepared): Promise<void> {
  const said = await eventually(
    () => operation.call(world, situation).catch(String),
    (answer) => !/UNAVAILABLE|PGRST00|^50[0-9]$/.test(String(answer)),
    30_000,
  );
  assert.ok(said === 200, `the next call: ${said}`);
  await idle(world, situation);
  assert.ok(
    (await assertSettled(world, operation, situation, said)) || operation.leavesNoRow === true,
    'the next call has not done it',
  );
}
