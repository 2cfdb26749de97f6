import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from 'smol-toml';

import { ROOT } from './places.ts';

/** The part of a `wrangler.toml` that the stack honours. */
export interface WranglerConfig {
  name: string;
  main: string;
  compatibility_date: string;
  compatibility_flags?: string[];
  vars?: Record<string, string>;
  kv_namespaces?: { binding: string; id: string }[];
  r2_buckets?: { binding: string; bucket_name: string }[];
  assets?: { directory: string; binding: string };
  services?: { binding: string; service: string }[];
  triggers?: { crons?: string[] };
}

/** The five functions. */
export const FUNCTIONS = ['backup-create', 'backup-restore', 'pitr-restore', 'pitr-rollback', 'recovery-test'] as const;

/** A function's name. */
export type FunctionName = (typeof FUNCTIONS)[number];

/** Reads the `wrangler.toml` of a folder of the repository; `.` is the gateway's. */
export function readWranglerConfig(folder: string): WranglerConfig {
  return parse(readFileSync(join(ROOT, folder, 'wrangler.toml'), 'utf8')) as unknown as WranglerConfig;
}
