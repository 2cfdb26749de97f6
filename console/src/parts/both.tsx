import type { VNode } from 'preact';

import { type Form, tell } from '../time.ts';

/** A time in the person's zone and in UTC. */
export function Both({ time, form = 'second' }: { time: number | string; form?: Form }): VNode {
  const at = typeof time === 'number' ? time : Date.parse(time);
  return (
    <time class="both" dateTime={new Date(at).toISOString()}>
      <b>{tell(at, form)}</b> <i>{tell(at, form, 'UTC')} UTC</i>
    </time>
  );
}

/** A time with its day, unless that is today. */
export function When({ time, form = 'second' }: { time: number | string; form?: Form }): VNode {
  const day = tell(time, 'day');
  return (
    <span class="when">
      <Both time={time} form={form} />
      {day !== tell(Date.now(), 'day') && <small>{day}</small>}
    </span>
  );
}
