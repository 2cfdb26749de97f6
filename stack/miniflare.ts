// Miniflare is one CommonJS file of 4 MB. `import` reads it twice more than `require`, to learn its format and its names:
// half a second of the processor for each process that starts a Worker.
import { createRequire } from 'node:module';

export const { Log, LogLevel, Miniflare } = createRequire(import.meta.url)('miniflare') as typeof import('miniflare');
export type Miniflare = InstanceType<typeof Miniflare>;
export type { MiniflareOptions, ModuleDefinition, WorkerOptions } from 'miniflare';
