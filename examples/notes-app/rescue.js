// node rescue.js preview MOMENT · node rescue.js restore MOMENT · node rescue.js undo
// For after the steps of docs/getting-started.md.
import { createM23 } from 'm23-client';

import { signIn } from './session.js';

const [command, moment] = process.argv.slice(2);
const m23 = createM23(await signIn());

if (command === 'preview') await preview();
else if (command === 'restore') await restore();
else if (command === 'undo') await undo();
else throw new Error('say preview, restore or undo');

async function preview() {
  for await (const { table, operation, now, then } of (await m23.getPITRPreview(moment)).rows()) {
    console.log(`${operation} ${table}: ${(then ?? now).title ?? (then ?? now).body}`);
  }
}

async function restore() {
  const { stats } = await m23.executePITR({ targetTimestamp: moment, confirmRestore: true });
  console.log(`${stats.totalOperations} rows are as they were at ${moment}`);
}

async function undo() {
  const [snapshot] = await m23.getActivePITRSnapshots();
  const { rowsRestored } = await m23.executePITRRollback(snapshot.snapshot_id, 'it was right before');
  console.log(`${rowsRestored} rows are as they were before the restore`);
}
