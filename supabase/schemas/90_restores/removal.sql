-- Removal: what a restore leaves to be tidied up. Hooks for what hangs on the rows that came
-- back (counters, search indexes, outboxes), copies that expire, tenants that are forgotten.

-- A restore beside the live data makes a copy, which expires. Dropping takes away what M23
-- made and nothing else: whatever somebody has added keeps the whole copy.

insert into m23.settings (name, value, about)
  values ('copy_days', '7', 'how long a restore into a schema of its own is kept');
