import type { VNode } from 'preact';

import { Icon } from '../../parts/icon.tsx';
import { tell } from '../../time.ts';
import type { Standing } from './standing.ts';

const NAMES: Readonly<Record<string, string>> = {
  freshness: 'Fresh',
  success: 'Success',
  chain: 'Chain',
  proof: 'Proof',
  capture: 'Capture',
  time: 'Time',
};

/** What the database says, as a sentence with times of the person's zone. */
function sentence(said: string): string {
  const text = said.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (time) => `${tell(time, 'day')}, ${tell(time)}`);
  return text === '' ? '' : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** Whether the tenant could be brought back, in a sentence, a number and its parts. */
export function Proof({ of: { health } }: { of: Standing }): VNode {
  const proof = health.parts.find(({ name }) => name === 'proof');
  const proven = proof !== undefined && proof.points >= proof.weight;
  const standing = health.healthy ? 'ok' : proven ? 'warn' : 'bad';
  return (
    <section class={`proof p-${standing}`} aria-label="Proof">
      <div class="pr-main">
        <Icon name={standing === 'ok' ? 'proof' : 'warn'} large />
        <div>
          <h2>
            {proven ? 'Proven. This tenant can be brought back.' : 'Not proven. No backup was really restored lately.'}
          </h2>
          <p>{sentence(health.capped ?? proof?.said ?? '')}</p>
        </div>
      </div>
      <div class="score">
        <p class="score-n">
          <b>{Math.round(health.score)}</b> of 100
        </p>
        <ul>
          {health.parts.map(({ name, points, weight, said }) => (
            <li key={name} title={said}>
              <span>{NAMES[name] ?? name}</span>
              <span class="meter">
                <i class={points < weight ? 'part' : ''} style={{ width: `${(100 * points) / weight}%` }} />
              </span>
              <em>
                {Math.round(points)}/{weight}
              </em>
              <span class="vh">{said}</span>
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}
