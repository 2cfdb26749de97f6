// The Worker's module, written by `cargo xtask build`; not to be edited where it is generated.
//
// It hands every event to the WebAssembly module. When the module traps (a panic), the request and
// all others that were under way in this instance get the contract's INTERNAL answer, never a stack
// trace and never a hang, and the next event starts a fresh instance.

import * as wasm from './glue.js';
import { WorkerEntrypoint } from 'cloudflare:workers';

const state = wasm.__worker_init_state();

// How to fail each call under way: a trapped instance will never finish it.
const underWay = new Set();

addEventListener('error', (event) => noteTrap(event.error));

export default class extends WorkerEntrypoint {
  async fetch(request) {
    try {
      return await call(wasm.fetch, this, request);
    } catch (error) {
      const requestId = crypto.randomUUID();
      console.error(
        JSON.stringify({ level: 'error', event: 'module_failed', request_id: requestId, cause: String(error) }),
      );
      return internal(requestId);
    }
  }

  // scheduled:begin
  async scheduled(event) {
    return await call(wasm.scheduled, this, event);
  }
  // scheduled:end
}

async function call(handler, entrypoint, argument) {
  if (state.criticalError) {
    wasm.__wbg_reset_state();
    state.criticalError = false;
    state.instanceId += 1;
  }
  const { promise: trapped, reject } = Promise.withResolvers();
  underWay.add(reject);
  try {
    return await Promise.race([handler.call(entrypoint, argument, entrypoint.env, entrypoint.ctx), trapped]);
  } catch (error) {
    noteTrap(error);
    throw error;
  } finally {
    underWay.delete(reject);
  }
}

function noteTrap(error) {
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  state.criticalError = true;
  for (const reject of underWay) reject(error);
}

function internal(requestId) {
  const body = {
    success: false,
    error: 'Something went wrong on our side; the request was not completed.',
    code: 'INTERNAL',
  };
  return Response.json(body, {
    status: 500,
    headers: { 'access-control-allow-origin': '*', 'x-request-id': requestId },
  });
}
