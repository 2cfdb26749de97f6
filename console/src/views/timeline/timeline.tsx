import type { VNode } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

import type { Transaction } from '../../../../client/src/types.ts';
import { enterIsTaken, useKeys } from '../../keys.ts';
import { toldError, useLoad } from '../../load.ts';
import { members, whoIs } from '../../member.ts';
import { Choice, Empty, Failure, Head, Waiting } from '../../parts/basics.tsx';
import { choose, go, linkTo, place } from '../../place.ts';
import { m23, rpc } from '../../project.ts';
import { isoOf, justBefore, micros, tell } from '../../time.ts';
import { type Bars, barsOf, rowsOf } from './bars.ts';
import { Chart, type Margins } from './chart.tsx';
import { Handle } from './handle.tsx';
import { Incident, usualDeletes } from './incident.tsx';
import { Lanes } from './lanes.tsx';
import { Legend, Tip } from './legend.tsx';
import { Marks } from './marks.tsx';
import { Moment } from './moment.tsx';
import { Overview } from './overview.tsx';
import { type Range, rangeIn, rangeOf, SPANS, zoomed } from './range.ts';
import { reachOf } from './reach.ts';
import { after, before, following } from './steps.ts';
import { type Order, Transactions } from './transactions.tsx';

const REST_MS = 400;
const MINUTE = 60_000_000n;
const OVERVIEW_MS = 30 * 86_400_000;

/** What happened to a tenant's rows, and the moment to go back to. */
export function Timeline({ tenant }: { tenant: string }): VNode {
  const { query } = place.value;
  const [now, setNow] = useState(Date.now());
  const range = rangeIn(query, now);
  const [at, tx, actor] = [query.get('at') ?? undefined, query.get('tx') ?? undefined, query.get('actor') ?? undefined];
  const order = (query.get('order') ?? 'deletes') as Order;
  const shown = `${tenant} ${range.from} ${range.until} ${actor}`;
  const [since, until] = [new Date(range.from), new Date(range.until)];

  const bars = useLoad(shown, async (signal) =>
    barsOf(
      range,
      await m23.getChangeHistogram(since, until, { tenantId: tenant, buckets: range.parts, actor, signal }),
    ),
  );
  const events = useLoad(shown, (signal) => m23.getEvents(since, until, { tenantId: tenant, signal }));
  const worst = useLoad(shown, async (signal) => {
    const { rows } = await m23.getTransactions({
      tenantId: tenant,
      since,
      until,
      order: 'deletes',
      actor,
      limit: 1,
      signal,
    });
    return rows.find(({ deletes }) => deletes > 0) ?? null;
  });
  const whole = rangeOf(now - OVERVIEW_MS, now);
  const month = useLoad(`${tenant} ${whole.until}`, async (signal) =>
    barsOf(
      whole,
      await m23.getChangeHistogram(new Date(whole.from), new Date(whole.until), {
        tenantId: tenant,
        buckets: whole.parts,
        signal,
      }),
    ),
  );
  const reach = useLoad(tenant, async (signal) =>
    reachOf(await rpc('get_recovery_window', { p_tenant_id: tenant }, signal)),
  );
  const look = useLoad(
    at === undefined ? null : `${tenant} ${at}`,
    (signal) => m23.lookAtPITR(at!, { tenantId: tenant, signal }),
    { restMs: REST_MS },
  );
  const next = useLoad(
    at === undefined || tx === undefined ? null : `${tenant} ${tx}`,
    (signal) => following(tenant, tx!, at!, signal),
    { keep: false },
  );
  const move = useMoves(tenant, range, at, now);
  const link = linkTo(tenant, ['preview'], { at, tx });

  useKeys({
    ArrowLeft: () => move.step(-1),
    ArrowRight: () => move.step(1),
    'Shift+ArrowLeft': () => move.by(-MINUTE),
    'Shift+ArrowRight': () => move.by(MINUTE),
    m: () => move.snap(),
    i: () => worst.data != null && move.pick(worst.data),
    '+': () => move.zoom(0.25),
    '=': () => move.zoom(0.25),
    '-': () => move.zoom(4),
    Enter: () => (at === undefined || enterIsTaken() ? false : go(link)),
  });

  const span = SPANS.find(({ ms }) => Math.abs(range.until - range.from - ms) < 2 * range.part)?.name;
  return (
    <div class="page p-timeline">
      <Head title="Timeline">
        <Choice
          label="Range"
          of={SPANS.map(({ name, title }) => [name, title] as const)}
          now={span}
          pick={(name) => {
            setNow(Date.now());
            choose({ range: name, from: undefined, until: undefined });
          }}
        />
        <Who actor={actor} />
      </Head>
      {worst.data != null && (
        <Incident
          of={worst.data}
          usual={month.data === undefined ? undefined : usualDeletes(month.data)}
          pick={() => move.pick(worst.data!)}
        />
      )}
      <div class="split">
        <div class="col">
          <section class="card c-chart" aria-label="Changes over time">
            {bars.error !== undefined && <Failure error={bars.error} again={bars.again} />}
            <Picture
              {...{
                bars: bars.data,
                month: month.data,
                reach: reach.data,
                busy: bars.busy,
                events: events.data ?? [],
                range,
                at,
              }}
              note={tx === undefined ? '' : 'just before'}
              move={move}
            />
          </section>
          <Transactions
            {...{ tenant, range, order, actor }}
            chosen={tx}
            sort={(name) => choose({ order: name })}
            pick={move.pick}
          />
        </div>
        {at === undefined ? (
          <aside class="moment" aria-label="The moment">
            <Empty icon="timeline" title="Choose a moment">
              <p>
                Take a transaction, click into the chart, or press <kbd>I</kbd> for the largest deletion.
              </p>
            </Empty>
          </aside>
        ) : (
          <Moment at={at} next={next.data ?? undefined} look={look} link={link} step={move.step} />
        )}
      </div>
      {move.error !== undefined && <Failure error={toldError(move.error)} />}
      {at !== undefined && (
        <div class="m-bar">
          <span>
            <b>{tell(at)}</b>
            <small>{tx === undefined ? tell(at, 'day') : `just before #${tx}`}</small>
          </span>
          <a class="btn primary" href={link}>
            Look
          </a>
        </div>
      )}
    </div>
  );
}

/** Whose changes are shown. */
function Who({ actor }: { actor: string | undefined }): VNode {
  const people = members.value?.filter(({ tenant_id }) => tenant_id === place.value.tenant) ?? [];
  return (
    <select
      class="btn ghost"
      aria-label="Who"
      value={actor ?? ''}
      onChange={(event) => choose({ actor: event.currentTarget.value || undefined })}
    >
      <option value="">Everyone</option>
      {people.map(({ user_id }) => (
        <option key={user_id} value={user_id}>
          {whoIs(user_id)}
        </option>
      ))}
    </select>
  );
}

interface PictureProps {
  bars: Bars | undefined;
  month: Bars | undefined;
  reach: ReturnType<typeof reachOf> | undefined;
  busy: boolean;
  events: Parameters<typeof Marks>[0]['events'];
  range: Range;
  at: string | undefined;
  note: string;
  move: Moves;
}

/** The chart with all that lies on it. It has its height before it has its bars. */
function Picture({ bars, month, reach, busy, events, range, at, note, move }: PictureProps): VNode {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [pointed, setPointed] = useState<number>();
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  const margins: Margins = width < 520 ? { left: 76, right: 10 } : { left: 92, right: 12 };
  const ready = bars !== undefined && width > 0;
  const drawn = bars?.range ?? range;
  return (
    <div ref={box} class={busy && ready ? 'picture old' : 'picture'}>
      <div class="over-box">
        {month !== undefined && reach !== undefined && width > 0 && (
          <Overview bars={month} shown={range} {...{ reach, width, margins }} />
        )}
      </div>
      {ready ? (
        <div class="chart">
          <p class="vh">{summary(bars)}</p>
          <Chart
            {...{ bars, width, margins }}
            point={setPointed}
            pick={(part) => move.pickPart(part, bars)}
            zoom={(from, until) => choose({ from: new Date(from).toISOString(), until: new Date(until).toISOString() })}
          />
          <Marks events={events} range={drawn} {...{ width, margins }} />
          <Lanes {...{ bars, width, margins }} />
          {at !== undefined && (
            <Handle at={Date.parse(at)} range={drawn} {...{ width, margins, note }} move={(time) => move.to(time)} />
          )}
          {pointed !== undefined && <Tip bars={bars} part={pointed} {...{ width, margins }} />}
        </div>
      ) : (
        <div class="chart">
          <Waiting lines={8} />
        </div>
      )}
      <Legend />
    </div>
  );
}

function summary({ all, range }: Bars): string {
  const deleted = all.reduce((sum, { d }) => sum + d, 0);
  return `Changes from ${tell(range.from, 'date')} ${tell(range.from)} to ${tell(range.until, 'date')} ${tell(range.until)}: ${rowsOf(all)} rows, of which ${deleted} were deleted.`;
}

interface Moves {
  error: unknown;
  pick(transaction: Transaction): void;
  pickPart(part: number, bars: Bars): void;
  to(time: number): void;
  by(micros: bigint): void;
  snap(): void;
  step(direction: -1 | 1): void;
  zoom(factor: number): void;
}

/** Every way to move the handle. A step that is under way is given up for the next one. */
function useMoves(tenant: string, range: Range, at: string | undefined, now: number): Moves {
  const [error, setError] = useState<unknown>();
  const under = useRef<AbortController>(undefined);

  const place = (moment: string, tx: string | undefined): void => {
    const time = Date.parse(moment);
    const inside = time >= range.from && time <= range.until;
    choose({ at: moment, tx, ...(inside ? fixed(range) : zoomed(range, 1, time, now)) });
  };
  const pick = (one: Transaction): void => place(justBefore(one.at), one.transaction_id);
  const search = (work: (signal: AbortSignal) => Promise<Transaction | null | undefined>): void => {
    under.current?.abort();
    const controller = new AbortController();
    under.current = controller;
    setError(undefined);
    work(controller.signal)
      .then((found) => found != null && !controller.signal.aborted && pick(found))
      .catch((reason: unknown) => !controller.signal.aborted && setError(reason));
  };
  const start = at ?? new Date(range.until).toISOString();
  return {
    error,
    pick,
    pickPart(part, bars) {
      const since = bars.range.from + part * bars.range.part;
      const until = since + bars.range.part;
      const order = (bars.all[part]?.d ?? 0) > 0 ? 'deletes' : 'rows';
      search(async (signal) => {
        const asked = {
          tenantId: tenant,
          since: new Date(since),
          until: new Date(until),
          order,
          limit: 1,
          signal,
        } as const;
        const { rows } = await m23.getTransactions(asked);
        if (rows[0] === undefined) place(new Date(since).toISOString(), undefined);
        return rows[0];
      });
    },
    to: (time) => place(new Date(time).toISOString(), undefined),
    by: (length) => place(isoOf(micros(start) + length), undefined),
    snap: () => search((signal) => after(tenant, start, signal)),
    step: (direction) =>
      search((signal) =>
        direction < 0 ? before(tenant, start, signal) : after(tenant, isoOf(micros(start) + 2n), signal),
      ),
    zoom: (factor) => choose(zoomed(range, factor, Date.parse(start), now)),
  };
}

/** The range as it is shown: with a moment chosen it stays, so that a link shows the same. */
function fixed({ from, until }: Range): { from: string; until: string } {
  return { from: new Date(from).toISOString(), until: new Date(until).toISOString() };
}
