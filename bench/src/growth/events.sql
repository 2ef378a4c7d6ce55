-- The two events that each of those deliveries caused, in the order of each project's log.
INSERT INTO event (project_id, position, tenant_id, name, cause_id, payload, created_at)
SELECT project_id, 2 * earlier + turn, tenant_id, name, id,
    CASE turn
        WHEN 1 THEN '{"source": "github", "eventType": "push", "id": "' || id || '", "deliveryId": "' || md5(drawn)::uuid || '"}'
        ELSE '{"tag": null, "branch": "main", "forced": false, "created": false, "deleted": false, "files": 7, "commits": 3, '
            || '"author": "octocat", "message": "Say what is done, and by whom", "before": "' || md5(drawn) || '", "after": "'
            || drawn || '", "url": "https://github.com/acme/rocket/compare/main"}'
    END::jsonb, to_timestamp((:start + n)::float8 / 1000)
FROM (SELECT n, drawn, tenant_id, (:projects)[greatest(n % 20 - 15, 1)] AS project_id,
             CASE WHEN n % 20 < 17 THEN n / 20 * 17 + n % 20 ELSE n / 20 END AS earlier,
             (lpad(to_hex(:start + n), 12, '0') || '7' || substr(drawn, 1, 3) || 'a' || substr(drawn, 4, 15))::uuid AS id
      FROM (SELECT n, md5(n::text) AS drawn, (SELECT tenant_id FROM project LIMIT 1) AS tenant_id
            FROM generate_series(:from::bigint, :until - 1) AS n OFFSET 0) AS drawn OFFSET 0) AS delivery,
    (VALUES (1, 'delivery_received'), (2, 'push')) AS caused (turn, name)
