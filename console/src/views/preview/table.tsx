import type { VNode } from 'preact';
import { useRef } from 'preact/hooks';

import type { PITRPreview } from '../../../../client/src/preview.ts';
import { count } from '../../numbers.ts';
import { Failure } from '../../parts/basics.tsx';
import { useVirtual } from '../../parts/virtual.ts';
import { Change } from './change.tsx';
import { usePreviewRows } from './rows.ts';

const ROW_HEIGHT = 60;

/** The rows of one table, of which only those near the window stand in the page. */
export function PreviewTable({ of, table, tenant }: { of: PITRPreview; table: string; tenant: string }): VNode {
  const box = useRef<HTMLDivElement>(null);
  const rows = of.changeCounts[table] ?? 0;
  const virtual = useVirtual(rows, ROW_HEIGHT, () => topOf(box.current));
  const items = virtual.getVirtualItems();
  const known = usePreviewRows(of, table, items[0]?.index ?? 0, items.at(-1)?.index ?? 0);
  return (
    <section class="card prev" aria-label={`Rows of ${table}`}>
      <header class="card-h">
        <h2>{table}</h2>
        <span class="count">{count(rows)}</span>
      </header>
      {known.error !== undefined && <Failure error={known.error} />}
      <div role="table" aria-label={`Rows of ${table}`} aria-rowcount={rows + 1}>
        <div class="prow ph" role="row">
          <span role="columnheader">Row</span>
          <span class="cmp" role="columnheader">
            <span>Now</span>
            <span>Then</span>
          </span>
        </div>
        <div ref={box} class="long" role="rowgroup" style={{ height: `${virtual.getTotalSize()}px` }}>
          {items.map((item) => {
            const row = known.at(item.index);
            return (
              <div
                key={item.key}
                ref={virtual.measureElement}
                data-index={item.index}
                class="prow"
                role="row"
                aria-rowindex={item.index + 2}
                style={{ transform: `translateY(${item.start - virtual.options.scrollMargin}px)` }}
              >
                {row === undefined ? (
                  <span class="mute" role="cell">
                    …
                  </span>
                ) : (
                  <Change of={row} table={table} tenant={tenant} />
                )}
              </div>
            );
          })}
        </div>
      </div>
    </section>
  );
}

function topOf(element: HTMLElement | null): number {
  return element === null ? 0 : Math.round(element.getBoundingClientRect().top + scrollY);
}
