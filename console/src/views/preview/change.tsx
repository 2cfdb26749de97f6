// A row of a preview: as it is now on the left, as it was then on the right.
import type { ComponentChildren, VNode } from 'preact';
import { useState } from 'preact/hooks';

import type { PreviewChange, Values } from '../../../../client/src/types.ts';
import { Sign } from '../../parts/figures.tsx';
import { textOf, Value, visible } from '../../parts/value.tsx';
import { linkTo, place } from '../../place.ts';
import { differing } from './diff.ts';

const KINDS = { insert: 'i', update: 'u', delete: 'd' } as const;
const WORDS = { insert: 'comes back', update: 'changes', delete: 'goes' } as const;
/** Fields of a whole row that are shown at first. */
const FEW = 4;
/** Longer texts are shown without what differs in them. */
const LONGEST_DIFF = 240;

/** One row. */
export function Change({ of, table, tenant }: { of: PreviewChange; table: string; tenant: string }): VNode {
  const kind = KINDS[of.operation];
  return (
    <>
      <div class="pkey" role="cell">
        <Sign kind={kind} />
        <a href={linkTo(tenant, ['row', table, JSON.stringify(of.key)])} title="The history of this row">
          <b>{visible(Object.values(of.key).map(textOf).join(', '))}</b>
        </a>
        <small>{WORDS[of.operation]}</small>
      </div>
      <div class={`pcmp r-${kind}`} role="cell">
        {of.operation === 'update' ? <Fields now={of.now ?? {}} then={of.then ?? {}} /> : <Whole of={of} />}
      </div>
    </>
  );
}

/** An update: the fields that differ, one under the other. */
export function Fields({ now, then }: { now: Values; then: Values }): VNode {
  const names = [...new Set([...Object.keys(then), ...Object.keys(now)])];
  return (
    <>
      {names.map((name) => (
        <Pair key={name} name={name} now={now[name]} then={then[name]} />
      ))}
    </>
  );
}

function Pair({ name, now, then }: { name: string; now: unknown; then: unknown }): VNode {
  const texts = [textOf(now), textOf(then)] as const;
  const short = texts.every((text) => text.length <= LONGEST_DIFF) && now != null && then != null;
  const [left, right] = differing(...texts);
  const named = <i>{visible(name)}</i>;
  return (
    <div class="cmp">
      <div class="c-now">
        {named}
        {short ? <Marked {...left} class="m-d" /> : <Value value={now} />}
      </div>
      <div class="c-then">
        {named}
        {short ? <Marked {...right} class="m-i" /> : <Value value={then} />}
      </div>
    </div>
  );
}

function Marked(props: { before: string; middle: string; after: string; class: string }): VNode {
  return (
    <span class="val" dir="auto">
      {visible(props.before)}
      {props.middle !== '' && <mark class={props.class}>{visible(props.middle)}</mark>}
      {visible(props.after)}
    </span>
  );
}

function Whole({ of: { now, then, key } }: { of: PreviewChange }): VNode {
  return (
    <div class="cmp">
      <Side class="c-now" values={now} last={Object.keys(key)} />
      <Side class="c-then" values={then} last={Object.keys(key)} />
    </div>
  );
}

function Side({ values, last, class: name }: { values: Values | null; last: readonly string[]; class: string }): VNode {
  if (values === null) return <div class={`${name} absent`}>not there</div>;
  return (
    <div class={name}>
      <RowFields values={values} last={last} />
    </div>
  );
}

/** The fields of a whole row, the first of them until more is asked for. What is known anyway comes `last`. */
export function RowFields({ values, last = [] }: { values: Values; last?: readonly string[] }): VNode {
  const [open, setOpen] = useState(false);
  const { tenant } = place.value;
  const known = ([name, value]: [string, unknown]): boolean => last.includes(name) || value === tenant;
  const every = Object.entries(values);
  const all = [...every.filter((field) => !known(field)), ...every.filter(known)];
  const shown: ComponentChildren[] = all.slice(0, open ? all.length : FEW).map(([name, value]) => (
    <span key={name}>
      <i>{visible(name)}</i>
      <Value value={value} />
    </span>
  ));
  return (
    <div class="fields">
      {shown}
      {!open && all.length > FEW && (
        <button type="button" class="more" onClick={() => setOpen(true)}>
          {all.length - FEW} more
        </button>
      )}
    </div>
  );
}
