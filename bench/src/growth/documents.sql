-- Documents as they are known after their repository was read: each with its text, its words and its work item, spread
-- over the projects as deliveries are and over the same time. A text is kept as a frame of zstd with one block that is
-- not compressed.
CREATE TEMPORARY TABLE document AS
SELECT n, (SELECT tenant_id FROM project LIMIT 1) AS tenant_id, (:projects)[greatest(n % 20 - 15, 1)] AS project_id,
    CASE WHEN n % 20 < 17 THEN n / 20 * 17 + n % 20 ELSE n / 20 END + 1 AS number,
    lpad(to_hex(:start + n * :step), 12, '0') || '7' AS began, to_timestamp((:start + n * :step)::float8 / 1000) AS made_at,
    substr(md5(n::text), 1, 3) || 'a' || substr(md5(n::text), 4, 14) AS drawn, md5(n::text) AS commit,
    'docs/stories/' || n % 300 || '/' || n || '.md' AS path, 'Story ' || n AS title,
    '# Story ' || n || (
        SELECT string_agg(E'\n\n## Part ' || part || ' of story ' || n || E'\n\nThe module ' || n * 7 + part
            || ' keeps telemetry of orbit ' || n % 97 || ' before the launch, and every engineer reads module '
            || n * 31 + part || ' first. What holds is written here, step by step, in plain words.', '')
        FROM generate_series(0, 5) AS part
    ) AS text
FROM generate_series(0::bigint, :documents - 1) AS n;

INSERT INTO artifact
    (id, tenant_id, project_id, path, kind, name, version, dependencies, commit, changed_at, title, status, bytes)
SELECT (began || drawn || '0')::uuid, tenant_id, project_id, path, 'story', n, '1.0', '[]', commit, made_at, title, 'ready',
    length(text)
FROM document;

INSERT INTO artifact_revision
    (id, tenant_id, project_id, artifact_id, path, commit, committed_at, version, bytes, body)
SELECT (began || drawn || '1')::uuid, tenant_id, project_id, (began || drawn || '0')::uuid, path, commit, made_at, '1.0',
    bytes, decode('28b52ffd60' || lpad(to_hex((bytes - 256) % 256), 2, '0') || lpad(to_hex((bytes - 256) / 256), 2, '0')
        || lpad(to_hex(bytes * 8 % 256 + 1), 2, '0') || lpad(to_hex(bytes / 32 % 256), 2, '0')
        || lpad(to_hex(bytes / 8192), 2, '0'), 'hex') || convert_to(text, 'UTF8')
FROM document, length(text) AS bytes;

INSERT INTO artifact_text (tenant_id, project_id, artifact_id, number, words)
SELECT tenant_id, project_id, (began || drawn || '0')::uuid, number,
    to_tsvector('simple', title || ' ' || translate(path, '/.', '  ') || ' ' || text)
    || array_to_tsvector(ARRAY['1·story', '1·' || n, 'k·story', 'p·' || replace(project_id::text, '-', ''), 'b·' || number / 500])
    || array_to_tsvector(ARRAY(
        SELECT place || word
        FROM unnest(ARRAY['2·', '3·']) AS place, regexp_split_to_table('docs stories md story part of 0 1 2 3 4 5 ' || n, ' ') AS word))
    || array_to_tsvector(ARRAY(
        SELECT '3·' || word
        FROM regexp_split_to_table('the module keeps telemetry orbit before launch and every engineer reads first what holds is '
            'written here step by in plain words', ' ') AS word))
FROM document;

INSERT INTO work_item
    (id, tenant_id, project_id, title, lane, rank, urgency, artifact_id, file_status, blockers, version, creator_name,
     created_at, updated_at, fence, lease_seconds)
SELECT (began || drawn || '2')::uuid, tenant_id, project_id, title, (ARRAY['backlog', 'ready', 'doing', 'review', 'done'])[n % 5 + 1],
    number * 1048576, 2, (began || drawn || '0')::uuid, 'ready', 0, 1, 'the repository', made_at, made_at, 0, 900
FROM document;

DROP TABLE document
