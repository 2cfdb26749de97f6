import { setTimeout as sleep } from 'node:timers/promises';

import { Inspector } from './inspector.ts';

const POLLED_EVERY_MS = 2;
const MEGABYTE = 1024 * 1024;

/** The answer of Runtime.getHeapUsage, in bytes. */
interface HeapUsage {
  usedSize: number;
  embedderHeapUsedSize: number;
  backingStorageSize: number;
}

/** The most that a Worker had at a time, in megabytes. */
export interface WorkerPeak {
  /** Its objects and their buffers. */
  heap: number;
  /** The memory of its WebAssembly module, which only grows. */
  module: number;
}

/**
 * A Worker's peak while some work goes on. With `collecting`, garbage is collected before each look, so
 * that what is seen is what the Worker holds.
 */
export async function peakOf(
  inspectorUrl: URL,
  worker: string,
  collecting: boolean,
  work: () => Promise<unknown>,
): Promise<WorkerPeak> {
  const inspector = await Inspector.of(inspectorUrl, worker);
  try {
    const heap = await peakHeap(inspector, collecting, work());
    return { heap: heap / MEGABYTE, module: (await moduleMemory(inspector)) / MEGABYTE };
  } finally {
    inspector.close();
  }
}

async function peakHeap(inspector: Inspector, collecting: boolean, work: Promise<unknown>): Promise<number> {
  let working = true;
  const ended = work.finally(() => {
    working = false;
  });
  let peak = 0;
  while (working) {
    // A Worker with nothing to do does not collect: the answer may come only with its next work.
    await Promise.race([
      look(inspector, collecting).then((bytes) => {
        peak = Math.max(peak, bytes);
      }),
      ended,
    ]);
    await sleep(POLLED_EVERY_MS);
  }
  await ended;
  return peak;
}

async function look(inspector: Inspector, collecting: boolean): Promise<number> {
  if (collecting) await inspector.send('HeapProfiler.collectGarbage');
  const { usedSize, embedderHeapUsedSize, backingStorageSize } =
    await inspector.send<HeapUsage>('Runtime.getHeapUsage');
  return usedSize + embedderHeapUsedSize + backingStorageSize;
}

/** The bytes of every WebAssembly.Memory. */
async function moduleMemory(inspector: Inspector): Promise<number> {
  const created = inspector.next<{ context: { id: number } }>('Runtime.executionContextCreated');
  await inspector.send('Runtime.enable');
  const { context } = await created;
  const { result } = await inspector.send<{ result: { objectId: string } }>('Runtime.evaluate', {
    expression: 'WebAssembly.Memory.prototype',
    contextId: context.id,
  });
  const { objects } = await inspector.send<{ objects: { objectId: string } }>('Runtime.queryObjects', {
    prototypeObjectId: result.objectId,
  });
  const functionDeclaration =
    'function () { return this.reduce((bytes, { buffer }) => bytes + buffer.byteLength, 0); }';
  const { result: sum } = await inspector.send<{ result: { value: number } }>('Runtime.callFunctionOn', {
    objectId: objects.objectId,
    functionDeclaration,
    returnByValue: true,
  });
  return sum.value;
}
