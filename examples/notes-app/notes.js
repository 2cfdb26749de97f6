// node notes.js list · node notes.js add NOTEBOOK TEXT · node notes.js remove NOTEBOOK
import { must, signIn } from './session.js';

const [command, title, body] = process.argv.slice(2);
const supabase = await signIn();

if (command === 'list') await list();
else if (command === 'add') await add();
else if (command === 'remove') await must(supabase.from('notebooks').delete().eq('title', title));
else throw new Error('say list, add or remove');

async function list() {
  const notebooks = await must(
    supabase.from('notebooks').select('title, notes (body)').order('title').order('id', { referencedTable: 'notes' }),
  );
  for (const { title, notes } of notebooks) console.log(`${title}: ${notes.map((note) => note.body).join(', ')}`);
}

async function add() {
  const [{ id: org_id }] = await must(supabase.from('orgs').select('id'));
  const notebook =
    (await must(supabase.from('notebooks').select('id').eq('title', title).maybeSingle())) ??
    (await must(supabase.from('notebooks').insert({ org_id, title }).select('id').single()));
  await must(supabase.from('notes').insert({ org_id, notebook_id: notebook.id, body }));
}
