import type { VNode } from 'preact';
import { useEffect, useErrorBoundary } from 'preact/hooks';

import { toldError, useLoad } from './load.ts';
import { members, own, readMembers, role } from './member.ts';
import { Failure, Waiting } from './parts/basics.tsx';
import { linkTo, place } from './place.ts';
import { lost, session } from './session.ts';
import { Shell } from './shell.tsx';
import { SignIn, SignInAgain } from './signin.tsx';
import { firstView, viewOf } from './views.ts';

/** The page: signed out, or a view of a tenant. */
export function App(): VNode | null {
  if (session.value === undefined) return null;
  if (session.value === null && !lost.value) return <SignIn />;
  return (
    <>
      <SignedIn />
      {lost.value && <SignInAgain />}
    </>
  );
}

function SignedIn(): VNode {
  const { error, again } = useLoad(session.value?.user.id ?? null, readMembers);
  if (members.value === undefined) {
    return <main class="alone">{error === undefined ? <Waiting /> : <Failure error={error} again={again} />}</main>;
  }
  return <Placed />;
}

function Placed(): VNode {
  const { tenant, view } = place.value;
  const home = own.value[0]?.tenant_id;
  useEffect(() => {
    if (tenant === undefined && home !== undefined) location.replace(linkTo(home, [firstView(home)]));
  }, [tenant, home]);

  if (tenant === undefined) return home === undefined ? <Nowhere /> : <main class="alone" />;
  return (
    <Shell>
      <Guarded key={`${tenant} ${view}`} tenant={tenant} view={view} />
    </Shell>
  );
}

/** A view; what goes wrong in it leaves the rest of the page usable. */
function Guarded({ tenant, view }: { tenant: string; view: string }): VNode {
  const [error, reset] = useErrorBoundary();
  const View = viewOf(view);
  if (error !== undefined) {
    return (
      <div class="page">
        <Failure error={toldError(error)} again={reset} />
      </div>
    );
  }
  return role.value === undefined || View === undefined ? <NotHere /> : <View tenant={tenant} />;
}

function NotHere(): VNode {
  return (
    <div class="page narrow">
      <h1>Nothing here, or not yours</h1>
      <p class="sub">Check the link, or ask an owner of the tenant for access.</p>
    </div>
  );
}

function Nowhere(): VNode {
  return (
    <Shell>
      <div class="page narrow">
        <h1>You belong to no tenant</h1>
        <p class="sub">Ask an owner to make you a member. Then load this page again.</p>
      </div>
    </Shell>
  );
}
