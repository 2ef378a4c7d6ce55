//! Every list has an index: no route reads a table from end to end.

use sea_orm::ConnectionTrait as _;

use super::server;
use crate::support::{number, text};

/// Many tenants with many projects, so that reading one's rows by reading all would be the slower way.
const FURNISH: &str = "
    INSERT INTO tenant SELECT gen_random_uuid(), 't' || n, now() FROM generate_series(1, 200) n;
    INSERT INTO principal (id, tenant_id, kind, name, role, created_at)
      SELECT gen_random_uuid(), id, 'service_account', 'p', 'member', now() FROM tenant, generate_series(1, 20);
    INSERT INTO api_key (id, tenant_id, principal_id, name, prefix, hash, scopes, created_at)
      SELECT gen_random_uuid(), tenant_id, id, 'k', 'tsk_', decode(md5(id::text), 'hex'), '[]', now() FROM principal;
    INSERT INTO project (id, tenant_id, name, repo_url, config, version, created_at, updated_at)
      SELECT gen_random_uuid(), id, 'p', 'https://git.example/x', '{}', 1, now(), now() FROM tenant, generate_series(1, 20);
    INSERT INTO project_secret (id, tenant_id, project_id, sealed, created_at)
      SELECT gen_random_uuid(), tenant_id, id, '', now() FROM project WHERE id NOT IN (SELECT project_id FROM project_secret);
    INSERT INTO event_head SELECT id, tenant_id, gen_random_uuid(), 20 FROM project ON CONFLICT DO NOTHING;
    INSERT INTO event (project_id, position, tenant_id, name, payload, created_at)
      SELECT id, n, tenant_id, 'push', '{}', now() FROM project, generate_series(100001, 100020) n;
    INSERT INTO webhook_event (id, tenant_id, project_id, source, delivery_id, event_type, headers, codec, body_bytes, received_at, body)
      SELECT gen_random_uuid(), tenant_id, id, 'github', 'old-' || n, 'push', '[]', 0, 0, now() - interval '1 day', '' FROM project, generate_series(1, 20) n;
    INSERT INTO rejected_delivery (id, tenant_id, project_id, source, event_type, code, reason, received_at)
      SELECT gen_random_uuid(), tenant_id, id, 'github', 'push', 'x', 'x', now() FROM project, generate_series(1, 10);
    INSERT INTO artifact (id, tenant_id, project_id, path, kind, name, dependencies, commit, changed_at)
      SELECT gen_random_uuid(), tenant_id, id, 'docs/' || n, 'other', 'x', '[]', 'c', now() FROM project, generate_series(1, 20) n;
    INSERT INTO repository_scan (project_id, tenant_id, state, requests, is_asked_for, requested_at, done, total, failures, redelivered)
      SELECT id, tenant_id, 'succeeded', 0, false, now(), 0, 0, 0, 0 FROM project ON CONFLICT DO NOTHING;
    INSERT INTO conflict (id, tenant_id, project_id, kind, severity, path, details, cause, detected_at)
      SELECT gen_random_uuid(), tenant_id, id, 'dependency_broken', 'critical', 'x', '{\"artifactPath\": \"x\", \"dependencyPath\": \"y\"}', n::text, now()
      FROM project, generate_series(1, 20) n;
    INSERT INTO artifact_revision (id, tenant_id, project_id, artifact_id, path, commit, committed_at, blob, version, bytes)
      SELECT gen_random_uuid(), tenant_id, project_id, id, path, 'abcdef0', now(), 'b', '1', 0 FROM artifact;
    INSERT INTO artifact_dependency (tenant_id, project_id, artifact_id, path)
      SELECT tenant_id, project_id, id, 'docs/1' FROM artifact;
    INSERT INTO run (id, tenant_id, project_id, source, external_id, kind, name, status, revision, stated_at)
      SELECT gen_random_uuid(), tenant_id, id, 'github', n::text, 'workflow', 'x', 'success', 1, now() FROM project, generate_series(1, 20) n;
    INSERT INTO agent (tenant_id, project_id, principal_id, status, since, seen_at, seen_by)
      SELECT project.tenant_id, project.id, principal.id, 'idle', now(), now(), 'push' FROM project
      JOIN principal ON principal.tenant_id = project.tenant_id;
    INSERT INTO agent_activity (id, tenant_id, project_id, principal_id, kind, what, times, branch, commit, first_at, last_at)
      SELECT gen_random_uuid(), tenant_id, project_id, principal_id, 'push', 'x', 1, 'x', md5(principal_id::text), now(), now()
      FROM agent;
    INSERT INTO run (id, tenant_id, project_id, source, external_id, kind, name, status, revision, stated_at, principal_id, principal_name, deadline_at)
      SELECT gen_random_uuid(), tenant_id, id, 'agent', n::text, 'agent', 'x', 'running', 1, now(), id, 'x',
        CASE WHEN random() < 0.005 THEN timestamptz '2026-01-01T05:00:00Z' ELSE '2027-01-01T00:00:00Z' END FROM project, generate_series(1, 2) n;
    INSERT INTO work_item (id, tenant_id, project_id, title, lane, rank, urgency, artifact_id, blockers, version, creator_name,
        created_at, updated_at, fence, lease_seconds, lease_id, holder_id, holder_name, credential, claimed_at, expires_at, seen_at, seen_by)
      SELECT gen_random_uuid(), project.tenant_id, project.id, 'x', CASE n % 3 WHEN 0 THEN 'ready' WHEN 1 THEN 'doing' ELSE 'done' END,
        n, 2, NULL, 0, 1, 'x', now(), now(), 1, 900, CASE n WHEN 1 THEN gen_random_uuid() END,
        CASE n WHEN 1 THEN project.id END, 'x', 'key:' || project.id, now(),
        CASE WHEN random() < 0.005 THEN timestamptz '2026-01-01T05:00:00Z' ELSE '2027-01-01T00:00:00Z' END, now(), 'claim'
      FROM project, generate_series(1, 20) n;
    INSERT INTO reservation (id, tenant_id, project_id, mode, patterns, fence, holder_id, holder_name, reserved_at, expires_at, lease_seconds,
        seen_at, seen_by)
      SELECT gen_random_uuid(), tenant_id, id, 'exclusive', '[\"src/x/**\"]', n, id, 'x', now(),
        CASE WHEN random() < 0.005 THEN timestamptz '2026-01-01T05:00:00Z' ELSE '2027-01-01T00:00:00Z' END, 900, now(), 'reservation'
      FROM project, generate_series(1, 10) n;
    INSERT INTO reservation_path (reservation_id, number, tenant_id, project_id, pattern, folder, is_prefix)
      SELECT id, n, tenant_id, project_id, 'src/x/**', CASE n WHEN 0 THEN 'src/x' WHEN 1 THEN 'src' ELSE '' END, n = 0
      FROM reservation, generate_series(0, 2) n;
    INSERT INTO gate (id, tenant_id, project_id, name, phase, work_item_id, kind, weight, config, is_configured, status, message,
        evaluated_at, due_at, version)
      SELECT gen_random_uuid(), tenant_id, project_id, 'x', NULL, id, 'manual_review', 10,
        '{\"name\": \"x\", \"check\": \"manual_review\"}', false, 'pending', 'x', now(),
        CASE WHEN random() < 0.005 THEN timestamptz '2026-01-01T05:00:00Z' ELSE '2027-01-01T00:00:00Z' END, 1
      FROM work_item;
    INSERT INTO job (id, tenant_id, kind, payload, state, run_at, attempt, fence)
      SELECT id, tenant_id, 'process_delivery', '{}', 'failed', now(), 3, 1 FROM webhook_event WHERE delivery_id = 'old-1';
    INSERT INTO idempotency_key (id, tenant_id, principal_id, key, fingerprint, created_at)
      SELECT gen_random_uuid(), tenant_id, id, 'k', '', '2026-01-01T05:00:00Z' FROM principal;
    INSERT INTO mcp_audit_log (tenant_id, id, writer, position, previous_hash, hash, project_id, actor_kind, actor_id,
        actor_name, tool, arguments_hash, result, duration_us, called_at)
      SELECT tenant_id, gen_random_uuid(), id, n, '', '', id, 'user', id, 'a', 't' || n, '', 'success', 1, now()
      FROM project, generate_series(1, 20) n;
    INSERT INTO audit_head SELECT tenant_id, id, 20, '', '', 0, '', '' FROM project;
    INSERT INTO audit_register
      SELECT id, decode(string_agg(md5(id::text || n), ''), 'hex'), 0, '', '' FROM tenant, generate_series(1, 100) n GROUP BY id;
    ANALYZE";

/// Lists with what they may be narrowed by, of a project and of the tenant.
const LISTS: [&str; 49] = [
    "/agents",
    "/agents?status=running",
    "/artifacts",
    "/artifacts?kind=prd",
    "/artifacts?removed=true",
    "/conflicts",
    "/conflicts?severity=critical&kind=dependency_broken",
    "/conflicts?resolved=all&artifactId=01890000-0000-7000-8000-000000000000",
    "/conflicts?resolved=resolved",
    "/artifact-graph",
    "/gates",
    "/gates?phase=build",
    "/gates?status=failed",
    "/gates?workItemId=01890000-0000-7000-8000-000000000000",
    "/phase-progress",
    "/sprint-status.yaml",
    "/deliveries",
    "/deliveries?status=pending",
    "/deliveries?status=failed",
    "/deliveries?status=processed",
    "/deliveries?eventType=push",
    "/deliveries?from=2026-01-01T00:00:00Z&until=2027-01-01T00:00:00Z",
    "/deliveries/rejected",
    "/events",
    "/events?after=0",
    "/events?order=desc",
    "/events?order=desc&name=push",
    "/runs",
    "/status",
    "/runs?status=failed",
    "/runs?commit=c",
    "/runs?branch=main",
    "/runs?since=2026-01-01T00:00:00Z&until=2027-01-01T00:00:00Z",
    "/runs?kind=agent",
    "/runs?principalId=01890000-0000-7000-8000-000000000000",
    "/work-items",
    "/work-items?lane=ready",
    "/work-items?holderId=01890000-0000-7000-8000-000000000000",
    "/work-items?artifactId=01890000-0000-7000-8000-000000000000",
    "/reservations",
    "/reservations?holderId=01890000-0000-7000-8000-000000000000",
    "/tool-calls",
    "/tool-calls?tool=t1",
    "/tool-calls?actor=01890000-0000-7000-8000-000000000000",
    "/tool-calls?result=failure",
    "/tool-calls?from=2026-01-01T00:00:00Z&until=2027-01-01T00:00:00Z",
    "/tool-calls?format=csv",
    "/tool-calls/summary",
    "",
];

#[tokio::test]
async fn no_list_and_no_work_behind_them_reads_a_table_from_end_to_end() {
    let Some(server) = server().await else { return };
    let project = server.project().await;
    let database = server.database().await;
    database.execute_unprepared(FURNISH).await.unwrap();
    database.execute_unprepared("SELECT pg_stat_reset()").await.unwrap();
    for list in LISTS {
        project.client.get(&project.path(list)).await.expect(200);
    }
    project.client.post(&project.path("/conflicts/detect"), serde_json::json!({})).await.expect(200);
    let check = serde_json::json!({"paths": ["src/x/a.rs", "src/**", "docs/prd.md"]});
    project.client.post(&project.path("/reservations/check"), check).await.expect(200);
    project.client.post(&project.path("/gates/evaluate"), serde_json::json!({})).await.expect(200);
    let artifact = text(&project.artifact("docs/1").await["id"]);
    for part in ["/revisions", "/content?revision=v1", "/content?revision=abcdef0", ""] {
        project.client.get(&project.path(&format!("/artifacts/{artifact}{part}"))).await;
    }
    project.client.get(&project.path(&format!("/artifact-graph?artifact={artifact}"))).await.expect(200);
    let tool_calls =
        ["tool-calls", "tool-calls?tool=t1", "tool-calls?result=failure", "tool-calls?format=csv"];
    for list in ["tenant", "principals", "api-keys", "projects"].into_iter().chain(tool_calls) {
        project.client.get(&format!("/api/v1/{list}")).await.expect(200);
    }
    let ping = trackside::samples::Repository::new("acme/rocket", crate::support::dawn()).ping();
    project.client.put(&project.path("/agents/me"), serde_json::json!({})).await.expect(200);
    let agent = text(&project.all("/agents").await[0]["principalId"]);
    project.client.get(&project.path(&format!("/agents/{agent}"))).await.expect(200);
    server.advance(60);
    for index in 0..5 {
        project.deliver(&format!("d-{index}"), &ping).await.expect(202);
    }
    crate::audit::record(&server, crate::audit::call(project.tenant.id, "get_run")).await;
    crate::audit::record_with_change(&server, crate::audit::call(project.tenant.id, "claim_work")).await;
    project.settled().await;
    trackside::runs::worker::close_lost(&server.service.app).await.unwrap();
    let page = project.client.get(&project.path("/deliveries?limit=2")).await.expect(200).json;
    project
        .client
        .get(&project.path(&format!("/deliveries?limit=2&cursor={}", text(&page["nextCursor"]))))
        .await
        .expect(200);
    // What connections have counted is told when they close.
    server.service.stop().await;
    let used = "SELECT count(*) FROM pg_stat_user_tables WHERE idx_scan > 0";
    assert!(number(&database, used).await >= 8, "the counters count");
    let statement = sea_orm::Statement::from_string(
        database.get_database_backend(),
        "SELECT relname || ': ' || seq_scan FROM pg_stat_user_tables WHERE seq_scan > 0 AND relname NOT IN \
         ('seaql_migrations', 'instance') AND NOT (relname = 'tenant' AND seq_scan <= 1)",
    );
    let read: Vec<String> = database
        .query_all_raw(statement)
        .await
        .unwrap()
        .iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect();
    assert!(read.is_empty(), "read from end to end: {read:?}");
}
