// Small parts that every view uses.
import type { ComponentChildren, VNode } from 'preact';

import type { M23Error } from '../../../client/src/errors.ts';
import { inWords } from '../words.ts';
import { Icon, type IconName } from './icon.tsx';

/** How something stands. */
export type Standing = 'ok' | 'warn' | 'bad' | 'run' | 'none';

/** A standing in words, with its picture. */
export function Status({ is, children }: { is: Standing; children: ComponentChildren }): VNode {
  return (
    <span class={`status s-${is}`}>
      <Icon name={is} />
      {children}
    </span>
  );
}

/** A titled part of a view. */
export function Card(props: {
  title: string;
  extra?: ComponentChildren;
  class?: string;
  children: ComponentChildren;
}): VNode {
  return (
    <section class={`card ${props.class ?? ''}`} aria-label={props.title}>
      <header class="card-h">
        <h2>{props.title}</h2>
        {props.extra}
      </header>
      {props.children}
    </section>
  );
}

/** A view's title, what it is about, and what can be done. */
export function Head(props: { title: string; sub?: ComponentChildren; children?: ComponentChildren }): VNode {
  return (
    <div class="head">
      <div>
        <h1>{props.title}</h1>
        {props.sub !== undefined && <p class="sub">{props.sub}</p>}
      </div>
      {props.children !== undefined && <div class="acts">{props.children}</div>}
    </div>
  );
}

/** One choice of a few. */
export function Choice<Name extends string>(props: {
  label: string;
  of: readonly (readonly [Name, string])[];
  now: Name | undefined;
  pick(name: Name): void;
}): VNode {
  return (
    <div class="seg" role="group" aria-label={props.label}>
      {props.of.map(([name, text]) => (
        <button type="button" key={name} aria-pressed={name === props.now} onClick={() => props.pick(name)}>
          {text}
        </button>
      ))}
    </div>
  );
}

/** An error in the place of what it prevents, with the way on. */
export function Failure({ error, again, label }: { error: M23Error; again?: () => void; label?: string }): VNode {
  const { title, way, kind } = inWords(error);
  return (
    <div class={`err e-${kind}`} role="alert">
      <Icon name={kind} />
      <div>
        <b>{title}</b>
        <p>{way}</p>
        {[error.message, ...error.details].map((line) => (
          <p class="detail" key={line}>
            {line}
          </p>
        ))}
        {error.requestId !== undefined && <small>{error.requestId}</small>}
      </div>
      {again !== undefined && (
        <button type="button" class="btn" onClick={again}>
          {label ?? 'Try now'}
        </button>
      )}
    </div>
  );
}

/** Nothing to show: what is not there, and where to look. */
export function Empty(props: { icon: IconName; title: string; children?: ComponentChildren }): VNode {
  return (
    <div class="empty">
      <Icon name={props.icon} />
      <b>{props.title}</b>
      {props.children}
    </div>
  );
}

/** Grey lines in the place of an answer that is on its way. */
export function Waiting({ lines = 4 }: { lines?: number }): VNode {
  return (
    <div class="skel" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, n) => (
        <i key={n} />
      ))}
    </div>
  );
}

/** Sentences that somebody should read before going on. */
export function Warnings({ of }: { of: readonly string[] }): VNode | null {
  if (of.length === 0) return null;
  return (
    <Card title="Warnings" extra={<span class="count">{of.length}</span>}>
      <ul class="warns">
        {of.map((line) => (
          <li key={line}>
            <Icon name="warn" />
            <span class="val">{line}</span>
          </li>
        ))}
      </ul>
    </Card>
  );
}
