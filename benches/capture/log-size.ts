import type pg from 'pg';

import { spread } from '../measure.ts';
import type { Place } from '../place.ts';
import type { Row } from '../report.ts';
import { Pipeline } from './pipeline.ts';
import { prepared } from './statements.ts';

const GOAL = { atMost: 300 };

/** What a captured update of one row of ten columns leaves in the log. */
export async function logSizeRows(place: Place, updates: number, repetitions: number): Promise<Row[]> {
  const statements = Array.from({ length: updates }, (_, n) => prepared('update', 'm23', n + 1));
  const figures: number[] = [];
  await Pipeline.in(place, async (pipeline) => {
    for (let n = 0; n < repetitions; n++) {
      const before = await logBytes(pipeline.client);
      await pipeline.run(statements);
      figures.push(((await logBytes(pipeline.client)) - before) / updates);
    }
  });
  return [{ what: 'log of an updated row, with its index', amount: spread(figures), unit: 'B', goal: GOAL }];
}

/** Bytes of all logs, with indexes and what is kept out of line. */
export async function logBytes(client: pg.Client): Promise<number> {
  const {
    rows: [log],
  } = await client.query<{ bytes: string }>(`select sum(pg_total_relation_size(oid)) as bytes
    from pg_class where relnamespace = 'm23_log'::regnamespace and relkind = 'r'`);
  return Number(log?.bytes);
}
