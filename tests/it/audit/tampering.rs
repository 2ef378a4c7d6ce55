//! Whatever somebody changes who can write to the database, and does not have the master key, is found and named.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use trackside::{
    accounts::KeyId,
    audit::{Entry, Verified, prune},
    database::TenantId,
    projects::ProjectId,
};
use uuid::Uuid;

use super::{call, expect_well, record, record_with_change, verify};
use crate::support::{Server, number};

const TABLES: [&str; 3] = ["mcp_audit_log", "audit_head", "audit_register"];
const SEED: u64 = 14;

/// A log of two tenants with several chains, and somebody who writes to its database.
struct Scene {
    server: Server,
    database: DatabaseConnection,
    tenant: TenantId,
    other: TenantId,
    records: u64,
}

/// A place in a chain.
#[derive(Clone, Copy, Debug)]
struct Place {
    writer: Uuid,
    position: i64,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::start().await;
        let (tenant, other) = (server.tenant("Acme").await.id, server.tenant("Other").await.id);
        let fill = async |server: &Server| {
            for index in 0..6 {
                let about =
                    (index % 2 == 0).then(|| (ProjectId(Uuid::from_u128(1)), KeyId(Uuid::from_u128(2))));
                let entry = Entry {
                    at: server.clock.now(),
                    project: about.map(|it| it.0),
                    key: about.map(|it| it.1),
                    error: about.map(|_| "not_found".to_owned()),
                    ..call(tenant, &format!("tool_{index}"))
                };
                record(server, entry.clone()).await;
                record_with_change(server, entry.clone()).await;
                record(server, Entry { tenant: other, ..entry }).await;
            }
        };
        fill(&server).await;
        server.advance(60 * 24 * 3600);
        fill(&server).await;
        server.advance(31 * 24 * 3600);
        let database = server.database().await;
        prune(&server.service.app).await.unwrap();
        let server = server.restart().await;
        fill(&server).await;
        for table in TABLES {
            let save = format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}");
            database.execute_unprepared(&save).await.unwrap();
        }
        let scene = Self { server, database, tenant, other, records: 24 };
        scene.is_well().await;
        scene
    }

    async fn is_well(&self) {
        let verified = expect_well(verify(&self.server, self.tenant).await, self.records);
        assert_eq!((verified.chains, verified.pruned), (3, 12));
        expect_well(verify(&self.server, self.other).await, 12);
    }

    /// Changes rows; gives their number.
    async fn tamper(&self, sql: &str) -> u64 {
        self.database.execute_unprepared(sql).await.unwrap().rows_affected()
    }

    /// Makes everything as it was.
    async fn restore(&self) {
        for table in TABLES {
            self.tamper(&format!("DELETE FROM {table}")).await;
            self.tamper(&format!("INSERT INTO {table} SELECT * FROM saved_{table}")).await;
        }
    }

    /// Changes rows, sees that it is found, and makes everything as it was.
    async fn is_found(&self, sql: &str) -> Verified {
        assert!(self.tamper(sql).await > 0, "{sql} changes something");
        let verified = verify(&self.server, self.tenant).await;
        assert!(!verified.findings.is_empty(), "nobody noticed {sql}");
        self.restore().await;
        verified
    }

    async fn is_found_at(&self, place: Place, sql: &str) {
        let verified = self.is_found(sql).await;
        let found = verified.findings.iter().find(|finding| finding.writer == Some(place.writer));
        let found = found.unwrap_or_else(|| panic!("{sql}: {:#?}", verified.findings));
        assert_eq!(found.position, Some(place.position), "{sql}: {found:?}");
    }

    fn is_postgres(&self) -> bool {
        self.server.place.is_postgres()
    }

    fn id(&self, id: Uuid) -> String {
        if self.is_postgres() { format!("'{id}'") } else { self.bytes(id.as_bytes()) }
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        let hex = hex::encode(bytes);
        if self.is_postgres() { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
    }

    /// Every place of the tenant's chains that has a record, chain by chain.
    async fn places(&self) -> Vec<Place> {
        let tenant = self.id(self.tenant.0);
        let sql = format!(
            "SELECT writer, position FROM mcp_audit_log WHERE tenant_id = {tenant} ORDER BY writer, position"
        );
        let rows = self
            .database
            .query_all_raw(Statement::from_string(self.database.get_database_backend(), sql))
            .await;
        let place = |row: &sea_orm::QueryResult| Place {
            writer: row.try_get_by_index(0).unwrap(),
            position: row.try_get_by_index(1).unwrap(),
        };
        rows.unwrap().iter().map(place).collect()
    }

    fn at(&self, place: Place) -> String {
        let (tenant, writer) = (self.id(self.tenant.0), self.id(place.writer));
        format!("tenant_id = {tenant} AND writer = {writer} AND position = {}", place.position)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_edit_of_any_column_of_any_record_is_found_where_it_is() {
    let scene = Scene::new().await;
    let mut random = StdRng::seed_from_u64(SEED);
    let (other, stranger) = (scene.id(scene.other.0), scene.id(Uuid::from_u128(random.random())));
    let hash = scene.bytes(&random.random::<[u8; 32]>());
    let mut edits = vec![("tenant_id", other.as_str())];
    edits.extend(["id", "writer", "actor_id", "project_id", "key_id"].map(|column| (column, &*stranger)));
    edits.extend(["previous_hash", "hash", "arguments_hash"].map(|column| (column, &*hash)));
    edits.extend([("position", "position + 1000"), ("duration_us", "duration_us + 1")]);
    edits.extend(["actor_kind", "actor_name", "tool", "result"].map(|column| (column, "'user'")));
    for column in ["project_id", "key_id", "scope", "error", "ip", "user_agent"] {
        edits.push((column, "NULL"));
    }
    for column in ["scope", "error", "ip", "user_agent"] {
        edits.extend([(column, "''"), (column, "'x'")]);
    }
    edits.push(("called_at", "'2020-01-01 00:00:00+00:00'"));
    if !scene.is_postgres() {
        // SQLite lets anything stand anywhere.
        edits.extend(
            ["id", "position", "hash", "called_at", "duration_us"].map(|column| (column, "'nonsense'")),
        );
    }
    let places = scene.places().await;
    let columns = "SELECT count(DISTINCT name) FROM pragma_table_info('mcp_audit_log')";
    if !scene.is_postgres() {
        let edited: std::collections::BTreeSet<_> = edits.iter().map(|edit| edit.0).collect();
        assert_eq!(number(&scene.database, columns).await, edited.len() as i64, "no column is left out");
    }
    for (column, value) in edits {
        let mut found = 0;
        while found < 3 {
            let place = places[random.random_range(0..places.len())];
            let sql = format!(
                "UPDATE mcp_audit_log SET {column} = {value} WHERE {} AND {column} IS DISTINCT FROM {value}",
                scene.at(place)
            );
            if scene.tamper(&sql).await == 0 {
                continue; // it says that already
            }
            scene.restore().await;
            scene.is_found_at(place, &sql).await;
            found += 1;
        }
    }
    scene.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_removed_inserted_or_moved_are_found() {
    let scene = Scene::new().await;
    let places = scene.places().await;
    for chain in places.chunk_by(|a, b| a.writer == b.writer) {
        let (writer, last) = (scene.id(chain[0].writer), chain[chain.len() - 1]);
        for place in chain {
            scene.is_found_at(*place, &format!("DELETE FROM mcp_audit_log WHERE {}", scene.at(*place))).await;
            let from = format!("writer = {writer} AND position >= {}", place.position);
            scene.is_found_at(*place, &format!("DELETE FROM mcp_audit_log WHERE {from}")).await;
        }
        for pair in chain.windows(2) {
            let (one, two) = (pair[0].position, pair[1].position);
            // In two steps, because no two records may stand in one place.
            let away = format!(
                "UPDATE mcp_audit_log SET position = -position WHERE writer = {writer} AND position IN ({one}, {two})"
            );
            scene.tamper(&away).await;
            let swap = format!(
                "UPDATE mcp_audit_log SET position = {one} + {two} + position WHERE writer = {writer} AND position < 0"
            );
            scene.is_found_at(pair[0], &swap).await;
        }
        let beyond = Place { position: last.position + 1, ..last };
        for (position, expected) in [(beyond.position, beyond), (-1, Place { position: -1, ..last })] {
            let copied = copy_of(&scene, last, &writer, position);
            scene.is_found_at(expected, &copied).await;
        }
        let stray = Uuid::from_u128(99);
        let verified = scene.is_found(&copy_of(&scene, last, &scene.id(stray), 1)).await;
        assert_eq!(verified.findings[0].writer, Some(stray), "{:?}", verified.findings);
    }
    scene.is_well().await;
}

/// Puts a copy of a record elsewhere.
fn copy_of(scene: &Scene, place: Place, writer: &str, position: i64) -> String {
    let rest = "previous_hash, hash, project_id, actor_kind, actor_id, actor_name, key_id, tool, scope, \
                arguments_hash, result, error, duration_us, called_at, ip, user_agent";
    let id = scene.id(Uuid::from_u128(5));
    let cast = if scene.is_postgres() { "::uuid" } else { "" };
    format!(
        "INSERT INTO mcp_audit_log (tenant_id, id, writer, position, {rest}) \
         SELECT tenant_id, {id}{cast}, {writer}{cast}, {position}, {rest} FROM mcp_audit_log WHERE {}",
        scene.at(place)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_checkpoints_and_registers_that_are_changed_or_removed_are_found() {
    let scene = Scene::new().await;
    let tenant = format!("tenant_id = {}", scene.id(scene.tenant.0));
    let hash = scene.bytes(&[7; 32]);
    let (other, stranger) = (scene.id(scene.other.0), scene.id(Uuid::from_u128(8)));
    let places = scene.places().await;
    for chain in places.chunk_by(|a, b| a.writer == b.writer) {
        let writer = scene.id(chain[0].writer);
        let (tail, before) = (chain[chain.len() - 1], chain[chain.len() - 2]);
        let set = async |change: String| {
            let sql = format!("UPDATE audit_head SET {change} WHERE {tenant} AND writer = {writer}");
            let verified = scene.is_found(&sql).await;
            let named = verified.findings.iter().any(|finding| finding.writer == Some(tail.writer));
            assert!(named, "{sql}: {:#?}", verified.findings);
        };
        for column in ["position", "pruned_to"] {
            set(format!("{column} = {column} + 1")).await;
            set(format!("{column} = {column} - 1")).await;
        }
        for column in ["hash", "mac", "pruned_hash", "pruned_mac"] {
            set(format!("{column} = {hash}")).await;
        }
        set(format!("tenant_id = {other}")).await;
        set(format!("writer = {stranger}")).await;
        let of = |place: Place| format!("(SELECT hash FROM mcp_audit_log WHERE {})", scene.at(place));
        scene.tamper(&format!("DELETE FROM mcp_audit_log WHERE {}", scene.at(tail))).await;
        set(format!("position = {}, hash = {}", before.position, of(before))).await;
        let pruned = chain[2];
        let checkpoint = format!("pruned_to = {}, pruned_hash = {}", pruned.position, of(pruned));
        scene
            .tamper(&format!("UPDATE audit_head SET {checkpoint} WHERE {tenant} AND writer = {writer}"))
            .await;
        let older = format!("position <= {}", pruned.position);
        scene
            .is_found(&format!("DELETE FROM mcp_audit_log WHERE {tenant} AND writer = {writer} AND {older}"))
            .await;
        scene.is_found(&format!("DELETE FROM audit_head WHERE {tenant} AND writer = {writer}")).await;
        scene.tamper(&format!("DELETE FROM mcp_audit_log WHERE {tenant} AND writer = {writer}")).await;
        scene.is_found(&format!("DELETE FROM audit_head WHERE {tenant} AND writer = {writer}")).await;
    }
    let shorter =
        if scene.is_postgres() { "substring(writers from 1 for 16)" } else { "substr(writers, 1, 16)" };
    let writers = format!("writers = {shorter}");
    for change in
        [&writers, "retired = retired + 1", &format!("retired_hash = {hash}"), &format!("mac = {hash}")]
    {
        let verified = scene.is_found(&format!("UPDATE audit_register SET {change} WHERE {tenant}")).await;
        assert!(verified.findings[0].what.contains("register"), "{:?}", verified.findings);
    }
    scene.is_found(&format!("DELETE FROM audit_register WHERE {tenant}")).await;
    scene.is_well().await;
}

#[tokio::test]
async fn calls_go_on_after_somebody_has_changed_the_heads_and_the_traces_stay() {
    let scene = Scene::new().await;
    let hash = scene.bytes(&[7; 32]);
    scene.tamper(&format!("UPDATE audit_head SET mac = {hash}")).await;
    scene.tamper(&format!("UPDATE audit_register SET mac = {hash}")).await;
    let Scene { server, database, tenant, .. } = scene;
    let server = server.restart().await;
    let before = verify(&server, tenant).await.findings.len();
    for _ in 0..3 {
        let entry = Entry { at: server.clock.now(), ..call(tenant, "get_run") };
        record(&server, entry.clone()).await;
        record_with_change(&server, entry).await;
    }
    let verified = verify(&server, tenant).await;
    assert_eq!(verified.records, 24 + 6, "{:#?}", verified.findings);
    assert!(verified.findings.len() >= before);
    assert_eq!(number(&database, "SELECT count(*) FROM mcp_audit_log").await, 36 + 6);
}
