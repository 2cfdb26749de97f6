// The gateway: routes, and nothing else. Who may do what is decided behind it.
import openapi from '../docs/openapi.json';
import { consoleAnswer } from './console.js';

const FUNCTIONS = new Map([
  ['backup-create', 'BACKUP_CREATE'],
  ['backup-restore', 'BACKUP_RESTORE'],
  ['pitr-restore', 'PITR_RESTORE'],
  ['pitr-rollback', 'PITR_ROLLBACK'],
  ['recovery-test', 'RECOVERY_TEST'],
]);

// Readable from every origin.
const OPEN = { 'access-control-allow-origin': '*' };

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const [, name] = /^\/functions\/v1\/([^/]+)(?:\/health)?\/?$/.exec(url.pathname) ?? [];
    if (FUNCTIONS.has(name)) {
      return env[FUNCTIONS.get(name)].fetch(request);
    }
    // The health of the whole, as any of the functions tells it.
    if (/^\/functions\/v1\/health\/?$/.test(url.pathname)) {
      return env.RECOVERY_TEST.fetch(request);
    }
    if (url.pathname === '/functions/v1/openapi.json' && ['GET', 'HEAD'].includes(request.method)) {
      return new Response(openapi, { headers: { ...OPEN, 'content-type': 'application/json' } });
    }
    if (/^\/(rest|auth|storage|realtime|graphql)\/v1(\/|$)/.test(url.pathname)) {
      const address = env.SUPABASE_URL + url.pathname + url.search;
      return withOneWait(await fetch(new Request(address, request), { redirect: 'manual' }));
    }
    return (await consoleAnswer(request, env, url)) ?? notFound();
  },
};

// PostgREST puts a Retry-After of its own, mostly 0, before the one that the database gives.
function withOneWait(answer) {
  const [, last] = /,\s*(\d+)$/.exec(answer.headers.get('retry-after') ?? '') ?? [];
  if (last === undefined) {
    return answer;
  }
  const response = new Response(answer.body, answer);
  response.headers.set('retry-after', last);
  return response;
}

function notFound() {
  const body = { success: false, error: 'There is nothing at this address.', code: 'NOT_FOUND' };
  return Response.json(body, {
    status: 404,
    headers: { ...OPEN, 'x-request-id': crypto.randomUUID() },
  });
}
