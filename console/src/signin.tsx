import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { Dialog } from './parts/dialog.tsx';
import { Icon } from './parts/icon.tsx';
import { signIn } from './session.ts';

/** The page of somebody who is not signed in. */
export function SignIn(): VNode {
  return (
    <main class="alone">
      <div class="card entry">
        <h1 class="brand">
          <Icon name="mark" /> Time machine
        </h1>
        <SignInForm />
      </div>
    </main>
  );
}

/** The same over the page, when the session has ended meanwhile. */
export function SignInAgain(): VNode {
  return (
    <Dialog title="You were signed out">
      <p class="sub">Your choice is kept. Sign in, and you are back here.</p>
      <SignInForm />
    </Dialog>
  );
}

function SignInForm(): VNode {
  const [fault, setFault] = useState<string>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    setFault(undefined);
    await signIn(String(form.get('email')), String(form.get('password'))).catch((error: Error) =>
      setFault(error.message),
    );
    setBusy(false);
  };
  return (
    <form onSubmit={submit}>
      <label class="f">
        <span>Email</span>
        <input name="email" type="email" autocomplete="username" required />
      </label>
      <label class="f">
        <span>Password</span>
        <input name="password" type="password" autocomplete="current-password" required />
      </label>
      {fault !== undefined && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
      <button type="submit" class="btn primary wide" disabled={busy}>
        Sign in
      </button>
    </form>
  );
}
