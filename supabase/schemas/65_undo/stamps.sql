-- Stamps: columns such as updated_at, which every change sets. They are no change by themselves, and make no conflict.

insert into m23.settings (name, value, about) values
  ('stamp_columns', 'updated_at,updated_on,modified_at,modified_on',
    'names of columns that an undo takes for stamps: they make no conflict');

-- The stamps of tables that have others than the setting says.
create table m23.stamps (
  table_id int primary key references m23.protected_tables (id) on delete cascade,
  columns  text[] not null
);
select m23.close_table('m23.stamps');
comment on table m23.stamps is 'Columns that an undo takes for stamps, by table; see m23.set_stamps.';

-- Says which columns of a table are stamps; null: those that the setting stamp_columns names.
create function m23.set_stamps(p_table regclass, p_columns text[]) returns void
language plpgsql as $$
declare
  v_id    int := (select t.id from m23.protected_tables t where t.relid = p_table);
  v_other text := (select c from unnest(p_columns) c
                    where c not in (select s.name from m23.columns_of(p_table) s) limit 1);
begin
  if v_id is null then
    raise exception '% is not protected', p_table using errcode = 'object_not_in_prerequisite_state';
  elsif v_other is not null then
    raise exception '% has no column "%"', p_table, v_other using errcode = 'undefined_column';
  end if;
  delete from m23.stamps where table_id = v_id;
  insert into m23.stamps select v_id, p_columns where p_columns is not null;
end $$;
comment on function m23.set_stamps(regclass, text[]) is
  'Says which columns of a protected table are stamps, such as updated_at, that make no conflict of an undo; null: '
  'those that the setting stamp_columns names.';

-- Which columns of a table are stamps.
create function m23.stamps_of(p_table m23.protected_tables) returns text[]
language plpgsql stable as $$
begin
  return coalesce((select s.columns from m23.stamps s where s.table_id = p_table.id),
                  string_to_array(m23.setting('stamp_columns'), ','));
end $$;
