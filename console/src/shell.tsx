import { signal } from '@preact/signals';
import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

import { useKeys } from './keys.ts';
import { KeysDialog } from './keys-dialog.tsx';
import { own, role, shortName } from './member.ts';
import { Both } from './parts/both.tsx';
import { Icon } from './parts/icon.tsx';
import { go, linkTo, place } from './place.ts';
import { session, signOut } from './session.ts';
import { flipTheme } from './theme.ts';
import { type Entry, firstView, groups } from './views.ts';

/** Whether the browser says that it is connected. */
export const online = signal(navigator.onLine);
for (const event of ['online', 'offline']) {
  addEventListener(event, () => {
    online.value = navigator.onLine;
  });
}

const GO_WITHIN_MS = 1500;

/** What stands around every view. */
export function Shell({ children }: { children: ComponentChildren }): VNode {
  const [help, setHelp] = useState(false);
  useNavigationKeys(() => setHelp(true));
  useTitle();
  const entries = groups();
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to the content
      </button>
      <div class="app">
        <nav class="nav" aria-label="Views">
          <div class="brand">
            <Icon name="mark" />
            <b>Time machine</b>
          </div>
          <Tenant />
          {place.value.tenant !== undefined &&
            role.value !== undefined &&
            entries.map(([title, list]) => (
              <div class="nav-g" key={title}>
                <p>{title}</p>
                {list.map((entry) => (
                  <NavLink key={entry.view} entry={entry} name={entry.title} />
                ))}
              </div>
            ))}
          <div class="nav-end">
            <button type="button" class="nav-a" onClick={() => setHelp(true)}>
              <Icon name="key" />
              <span>Keys</span>
              <kbd>?</kbd>
            </button>
            <button type="button" class="nav-a" onClick={flipTheme}>
              <Icon name="moon" />
              <span>Light or dark</span>
            </button>
            <button type="button" class="nav-a" onClick={() => void signOut()}>
              <Icon name="out" />
              <span>Sign out</span>
            </button>
            <div class="me">
              <span>
                <b class="who">{session.value?.user.email ?? ''}</b>
                <small>{role.value ?? 'no member here'}</small>
              </span>
            </div>
          </div>
        </nav>
        <div class="body">
          {!online.value && (
            <p class="offline" role="status">
              You are offline. What you see is from before; nothing can be changed until you are back.
            </p>
          )}
          <header class="top">
            <div class="small-only">
              <Tenant />
            </div>
            <Clock />
            <div class="small-only">
              <button type="button" class="btn sq ghost" aria-label="Light or dark" onClick={flipTheme}>
                <Icon name="moon" />
              </button>
              <button type="button" class="btn sq ghost" aria-label="Sign out" onClick={() => void signOut()}>
                <Icon name="out" />
              </button>
            </div>
          </header>
          <main id="main" tabIndex={-1}>
            {children}
          </main>
        </div>
        {role.value !== undefined && (
          <nav class="bar" aria-label="Views, short">
            {entries
              .flatMap(([, list]) => list)
              .map((entry) => (
                <NavLink key={entry.view} entry={entry} name={entry.short} bare />
              ))}
          </nav>
        )}
      </div>
      {help && <KeysDialog close={() => setHelp(false)} />}
    </>
  );
}

function NavLink({ entry, name, bare = false }: { entry: Entry; name: string; bare?: boolean }): VNode {
  const { tenant = '', view } = place.value;
  const here = view === entry.view || entry.also?.includes(view);
  return (
    <a class={bare ? '' : 'nav-a'} href={linkTo(tenant, [entry.view])} aria-current={here ? 'page' : undefined}>
      <Icon name={entry.icon} />
      <span>{name}</span>
    </a>
  );
}

function Tenant(): VNode | null {
  const { tenant } = place.value;
  const tenants = own.value.map(({ tenant_id }) => tenant_id);
  if (tenant === undefined || role.value === undefined) return null;
  if (tenants.length === 1) {
    return (
      <div class="tenant" title={tenant}>
        <span>
          <b>{shortName(tenant)}</b>
          <small>tenant</small>
        </span>
      </div>
    );
  }
  return (
    <label class="tenant">
      <span class="vh">Tenant</span>
      <select
        value={tenant}
        onChange={(event) => go(linkTo(event.currentTarget.value, [firstView(event.currentTarget.value)]))}
      >
        {tenants.map((one) => (
          <option key={one} value={one}>
            {shortName(one)}
          </option>
        ))}
      </select>
    </label>
  );
}

function Clock(): VNode {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <div class="clock">
      <span>now </span>
      <Both time={now} form="minute" />
    </div>
  );
}

function useNavigationKeys(help: () => void): void {
  const gone = useRef(0);
  const then = (key: string) => () => {
    const entry = groups()
      .flatMap(([, list]) => list)
      .find((one) => one.key === key);
    const { tenant } = place.peek();
    if (Date.now() - gone.current > GO_WITHIN_MS || entry === undefined || tenant === undefined) return false;
    gone.current = 0;
    go(linkTo(tenant, [entry.view]));
    return true;
  };
  useKeys({
    '?': help,
    g: () => {
      gone.current = Date.now();
    },
    t: then('t'),
    f: then('f'),
    r: then('r'),
    b: then('b'),
  });
}

function useTitle(): void {
  const { tenant, view } = place.value;
  useEffect(() => {
    document.title = tenant === undefined ? 'Time machine' : `${view} · ${shortName(tenant)} · Time machine`;
  }, [tenant, view]);
}
