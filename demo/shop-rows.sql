-- Rows for one shop. The same on every run: what looks random is a hash of the row's number.

create function shop.roll(n bigint, salt bigint, sides bigint) returns integer
language sql immutable as $$ select ((hashint8extended(n, salt) & 2147483647) % sides)::integer $$;

-- Texts that tend to be lost on the way: separators, escapes, look-alikes of NULL, blanks.
create function shop.awkward(n bigint) returns text
language sql immutable as $$
  select (array['', 'plain words', E'a\ttab', E'two\nlines', E'CR\rLF\r\n', E'back\\slash \\N \\. \\t', E'\\N', 'NULL', 'null',
                '"double" ''single'', comma; {brace} (paren)', ' blanks around ', 'naïve Ærø – 日本語 🙂 e' || U&'\0301',
                E'\u0001\u001f\u007f', U&'\200b\202e\feff', null, repeat('A long note. ', 40), '😀', '%s $1 :x'])[1 + n % 18]
$$;

create function shop.add_shop(p_tenant uuid, p_customers integer) returns void
language plpgsql as $$
declare
  v_products integer := p_customers / 2;
  v_orders   integer := p_customers * 2;
  v_day      timestamptz := '2026-01-01 00:00:00+00';
begin
  insert into shop.categories
  select p_tenant, 'c' || n, case when n > 10 then 'c' || n / 10 end, concat('Category ', n, ' ', shop.awkward(n)),
         (n * 331 % 65536 - 32768)::smallint,
         (array['00:00', '08:30', '23:59:59.999999', '24:00', null])[1 + n % 5]::time,
         (array['17:00+00', '24:00-15:59', '20:15:00.5+05:30', '08:00+05:30:15', null])[1 + n % 5]::timetz
    from generate_series(1, 100) n;

  insert into shop.products (tenant_id, category_code, sku, title, price, weight, volume, stock, shelf, active, photo, attributes,
                             supplier_data, datasheet, tags, grid, words, on_sale, price_band, closed_days, updated_at)
  select p_tenant, case when n % 20 > 0 then 'c' || 1 + n % 100 end, 'P-' || n, concat('Product ', n, ' ', shop.awkward(n)),
         shop.roll(n, 1, 10000000) / 10000.0,
         (array['NaN', '-0', 'Infinity', '-Infinity', '1e-45', '0.1', '3.4028235e38', null, '0'])[1 + n % 9]::real,
         (array['NaN', '-0', 'Infinity', '-Infinity', '5e-324', '0.1', '1.7976931348623157e308', null, '0', '0.30000000000000004'])[1 + n % 10]::float8,
         nullif(shop.roll(n, 2, 1000001), 0), n, (array[true, false, null])[1 + n % 3],
         case when n % 500 = 0 then decode(repeat(md5(n::text), 400), 'hex') when n % 7 = 0 then ''::bytea
              when n % 3 > 0 then '\x00095c0a0dff'::bytea || sha256(n::text::bytea) end,
         (array['null', '{}', '[]', '{"a": 1.0, "b": [null, true, "\\N\t\n"], "ü": {"": "🙂"}}', '"text"', '1e400', null])[1 + n % 7]::jsonb,
         (array['null', '{"a" : 1,  "a":2}', E'[1 ,\n\t2]', '{"\u00fc":"\\u0041"}', null])[1 + n % 5]::json,
         (array['<p a="1">&amp; ü</p>', 'only text', E'<a>\n\t<b/>\\N</a>', null])[1 + n % 4]::xml,
         (array['{}', '{a,NULL,"NULL",""}', E'{"with \\"quotes\\"","back\\\\slash"}', '[0:1]={zero,one}', null])[1 + n % 5]::text[],
         (array['{{1,2},{3,4}}', '[-1:1]={7,NULL,9}', '{}', null])[1 + n % 4]::integer[],
         case when n % 4 > 0 then setweight(to_tsvector('simple', concat('product ', n)), 'A') || $w$'a b':3C 'it''s':7$w$::tsvector end,
         (array['empty', '[2026-01-01,2026-02-01)', '(,2026-01-01)', '[2026-01-01,)', '(,)', null])[1 + n % 6]::daterange,
         (array['[1.0,1.10)', '(0.5,2]', 'empty', '[,7)', null])[1 + n % 5]::numrange,
         (array['{}', '{[2026-01-01,2026-01-03), [2026-12-24,2026-12-27)}', null])[1 + n % 3]::datemultirange,
         v_day + n * interval '7.000001 s'
    from generate_series(1, v_products) n;

  insert into shop.customers (id, tenant_id, referred_by, name, email, tier, home, other_homes, born, joined, local_time, patience, credit,
                              balance, last_ip, office_net, device, spot, flags, consents, notes, updated_at)
  select shop.customer_id(p_tenant, n), p_tenant, case when n > 10 and n % 3 = 0 then shop.customer_id(p_tenant, n / 3) end,
         case when n % 40 > 0 then concat('Customer ', n) end,
         case when n % 11 = 0 then '' when n % 13 > 0 then concat('customer', n, '@mail.example') end,
         (array['basic', 'silver', 'gold', null])[1 + n % 4]::shop.tier,
         (array[concat('("', n, ' ""Long"" Street, East",Aarhus,8000,2020-02-29)'), '(,,,)', '("",,NULL,)', null])[1 + n % 4]::shop.address,
         (array['{}', E'{"(\\"a, b\\",\\"c \\\\\\"d\\\\\\"\\",,)",NULL,"(,,,)"}', null])[1 + n % 3]::shop.address[],
         (array['infinity', '-infinity', '0044-03-15 BC', '1999-12-31', '5874897-12-31', null])[1 + n % 6]::date,
         v_day - n * interval '1 hour 0.000001 s',
         (array['infinity', '-infinity', '4713-01-01 BC', '2026-03-29 02:30:00.123456', '294276-12-31 23:59:59.999999', null])[1 + n % 6]::timestamp,
         (array['-1 year -2 mons +3 days 04:05:06.789', 'infinity', '00:00', '1 mon', '30 days', '720:00:00', '-0.000001 s', null])[1 + n % 8]::interval,
         (array['0', '-12.34', '92233720368547758.07', null])[1 + n % 4]::money,
         (array['NaN', 'Infinity', '1.50', '1.5', '-0.000', '0', '12345678901234567890.123456789', '1e-30', null])[1 + n % 9]::numeric,
         (array['192.0.2.7', '192.0.2.7/24', '::1', '2001:db8::1/64', '0.0.0.0/0', null])[1 + n % 6]::inet,
         (array['10.0.0.0/8', '192.0.2.7/32', '2001:db8::/32', null])[1 + n % 4]::cidr,
         (array['08:00:2b:01:02:03', 'ff:ff:ff:ff:ff:ff', null])[1 + n % 3]::macaddr,
         (array['(0,-0)', '(NaN,1e-300)', '(Infinity,0.1)', '(10.5,56.15)', null])[1 + n % 5]::point,
         shop.roll(n, 3, 256)::bit(8), (array['', '1', '0101010101010101010', null])[1 + n % 4]::varbit,
         shop.awkward(n), v_day + n * interval '1 s'
    from generate_series(1, p_customers) n;

  insert into shop.orders (tenant_id, customer_id, number, status, placed_at, delivery, discount, memo)
  select p_tenant, shop.customer_id(p_tenant, 1 + shop.roll(n, 4, p_customers)), n,
         (array['open', 'paid', 'shipped', 'returned'])[1 + n % 4]::shop.order_status, v_day + n * interval '3 minutes',
         case when n % 5 > 0 then tstzrange(v_day + n * interval '3 minutes', case when n % 7 > 0 then v_day + n * interval '2 hours' end, '[]') end,
         (array['0.1', '-0', 'NaN', null])[1 + n % 4]::real, left(shop.awkward(n), 200)
    from generate_series(1, v_orders) n;

  insert into shop.order_lines (order_id, line_no, tenant_id, product_id, quantity, unit_price, note)
  select o.id, l, p_tenant, p.id, 1 + shop.roll(o.number * 10 + l, 5, 32767), p.price, case when l > 2 then shop.awkward(o.number) end
    from shop.orders o
   cross join generate_series(1, 4) l
    join shop.products p on p.tenant_id = p_tenant and p.shelf = 1 + shop.roll(o.number * 10 + l, 6, v_products)
   where o.tenant_id = p_tenant and l <= 1 + o.number % 4;

  insert into shop."Payments" (tenant_id, "Order", "paidAt", "Amount", "Fee", "Reference", raw)
  select p_tenant, o.id, case when o.number % 9 > 0 then o.placed_at + interval '90 s' end, (o.number % 9999)::money,
         (array['0.1', '-0', 'NaN', null])[1 + o.number % 4]::float8, left(shop.awkward(o.number + 3), 64),
         case when o.number % 2 = 0 then format('{"id": %s, "id": "twice", "ok" : true}', o.number)::json end
    from shop.orders o where o.tenant_id = p_tenant and o.number % 4 > 0;
end $$;

-- Known before the customer is there, so that customers can refer to one another.
create function shop.customer_id(p_tenant uuid, n bigint) returns uuid
language sql immutable as $$ select md5(p_tenant::text || n)::uuid $$;
