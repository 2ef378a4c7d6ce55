-- Deliveries as they are stored when they have been worked through, one in each millisecond from :start on. Of 20 in a
-- row 17 are the first project's. Whatever differs from one to the next is drawn from its number.
INSERT INTO webhook_event
    (id, tenant_id, project_id, source, delivery_id, event_type, headers, codec, body_bytes, received_at, body)
SELECT (lpad(to_hex(:start + n), 12, '0') || '7' || substr(drawn, 1, 3) || 'a' || substr(drawn, 4, 15))::uuid,
    tenant_id, (:projects)[greatest(n % 20 - 15, 1)], 'github', md5(drawn)::uuid, 'push',
    '[["content-type", "application/json"]]', 0, 8192, to_timestamp((:start + n)::float8 / 1000),
    decode(repeat(drawn, :repeats), 'hex')
FROM (SELECT n, md5(n::text) AS drawn, (SELECT tenant_id FROM project LIMIT 1) AS tenant_id
      FROM generate_series(:from::bigint, :until - 1) AS n OFFSET 0) AS delivery
