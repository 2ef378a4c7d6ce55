//! Everything that one database holds, copied into another, whichever engines they are.
//!
//! Rows go table by table, in an order in which each refers only to what is there already, and page by page, so that
//! no more than a page is in memory. They pass through the ordinary transactions of their tenants, and tenants
//! through the door of the installation. At the end of each table its rows are counted on both sides. The row that
//! makes a database an installation comes last: whoever would start on a copy that was interrupted is refused.
//!
//! What PostgreSQL cannot store, the character NUL, becomes the replacement character, as it does in what is received.

use entity::{
    TenantScoped, agent, agent_activity, api_key, artifact, artifact_dependency, artifact_revision,
    audit_head, audit_register, authorization_code, branch_file, conflict, document_touch, event, event_head,
    gate, idempotency_key, identity, instance, invitation, job, mcp_audit_log, oauth_client, oauth_grant,
    person, principal, project, project_secret, provider_token, refresh_token, rejected_delivery,
    repository_scan, reservation, reservation_head, reservation_path, run, security_event, session,
    signing_key, stream_ticket, tenant, webhook_event, work_comment, work_dependency, work_item,
};
use futures::future::BoxFuture;
use sea_orm::{
    ActiveModelTrait, Condition, DatabaseTransaction, IdenStatic as _, IntoActiveModel, Iterable as _,
    PrimaryKeyToColumn, QueryOrder as _, QuerySelect as _, Value, prelude::*, sea_query,
};

use super::{Database, Door, Migrate, TenantId, Tx, postgres, sqlite};
use crate::{
    config::DatabaseUrl,
    error::{Error, Result},
};

/// Rows of a table's first page. Later ones are as large as [`PAGE_BYTES`] and [`MOST_ROWS`] let them be.
const FIRST_ROWS: u64 = 32;
/// Rows of a page and of a statement at most.
const MOST_ROWS: u64 = 256;
/// Bytes that a page aims at: most rows are small, and some bodies are not.
const PAGE_BYTES: u64 = 1 << 20;

/// What has been copied of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
}

/// Indexes all texts of a tenant, and gives their number: what an engine searches in is no rows that another could read.
pub type Index = fn(&Database, TenantId) -> BoxFuture<'_, Result<u64>>;

/// Sees that one database can be copied into another, and gives the other its schema.
///
/// # Errors
/// The first is not there, has an older schema or is in use; the second has an older schema; either cannot be
/// reached. Each says what to do.
pub async fn prepare(from: &DatabaseUrl, to: &DatabaseUrl) -> Result<()> {
    if from == to {
        return Err(Error::invalid(format!("{from} cannot be copied into itself; name another database")));
    }
    if let DatabaseUrl::Sqlite(path) = from
        && !path.exists()
    {
        return Err(Error::invalid(format!("there is no file {}", path.display())));
    }
    let steps = Database::migrate(from, Migrate::Status).await?;
    if steps.iter().any(|step| !step.applied) {
        return Err(Error::invalid(format!(
            "the schema of {from} is behind; bring it up to date first: trackside migrate up --database-url {from}"
        )));
    }
    let (is_used, but) = match from {
        DatabaseUrl::Sqlite(path) => (sqlite::is_used(path).await?, ""),
        DatabaseUrl::Postgres(url) => {
            (postgres::is_used(url).await?, "; a pooler keeps connections open, so name the server itself")
        }
    };
    if is_used {
        return Err(Error::invalid(format!(
            "{from} is in use: stop the service first, so that nothing is accepted there that the copy would lack{but}"
        )));
    }
    let steps = Database::migrate(to, Migrate::Status).await?;
    if steps.iter().any(|step| step.applied) && steps.iter().any(|step| !step.applied) {
        return Err(Error::invalid(format!(
            "{to} has the schema of an older version; name an empty database"
        )));
    }
    Database::migrate(to, Migrate::Up).await?;
    Ok(())
}

/// Copies every table, and tells of each page as it goes; gives what each table has.
///
/// # Errors
/// `to` holds something already, `from` is written to meanwhile, or one of them fails. What was copied until then
/// stays in `to`, which is of no use any more.
pub async fn copy(
    from: &Database,
    to: &Database,
    tell: &mut (dyn FnMut(&Copied) + Send),
    index: Index,
) -> Result<Vec<Copied>> {
    let tenants = all::<tenant::Entity>(from).await?;
    let instance = all::<instance::Entity>(from).await?;
    if instance.is_empty() {
        return Err(Error::invalid("there is no installation in it that could be copied"));
    }
    if !all::<tenant::Entity>(to).await?.is_empty() || !all::<instance::Entity>(to).await?.is_empty() {
        return Err(Error::invalid(
            "a copy needs an empty database, and there is something in this one; name another",
        ));
    }
    insert_through_door::<tenant::Entity>(to, tenants.clone()).await?;
    let mut copied = vec![Copied { table: "tenant", rows: tenants.len() as u64 }];
    macro_rules! each_of_nobody {
        ($($table:ident),*) => {$( copied.push(of_nobody::<$table::Entity>(from, to, stringify!($table)).await?); )*};
    }
    each_of_nobody!(person, identity, signing_key, oauth_client);
    let tenants: Vec<_> = tenants.iter().map(|tenant| TenantId(tenant.id)).collect();
    let mut copy = Copy { from, to, tenants: &tenants, tell };
    macro_rules! each {
        ($($table:ident),*) => {$( copied.push(copy.table::<$table::Entity>().await?); )*};
    }
    each!(principal, api_key, idempotency_key, project, project_secret, provider_token, run);
    each!(artifact, artifact_revision, artifact_dependency, repository_scan, conflict, agent);
    each!(agent_activity);
    each!(work_item, work_dependency, work_comment, gate);
    each!(reservation, reservation_path, reservation_head, branch_file, document_touch);
    each!(webhook_event, rejected_delivery, event, event_head, job, stream_ticket);
    each!(mcp_audit_log, audit_head, audit_register, security_event);
    each!(session, invitation, oauth_grant, authorization_code, refresh_token);
    let mut texts = Copied { table: "artifact_text", rows: 0 };
    for tenant in &tenants {
        texts.rows += index(to, *tenant).await?;
        (copy.tell)(&texts);
    }
    copied.push(texts);
    copied.push(Copied { table: "instance", rows: instance.len() as u64 });
    insert_through_door::<instance::Entity>(to, instance).await?;
    Ok(copied)
}

/// Copies a table that belongs to no tenant; there are few rows in it.
async fn of_nobody<E>(from: &Database, to: &Database, table: &'static str) -> Result<Copied>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel> + Send + Sync,
    E::ActiveModel: Send,
{
    let rows = all::<E>(from).await?;
    let copied = Copied { table, rows: rows.len() as u64 };
    insert_through_door::<E>(to, rows).await?;
    Ok(copied)
}

/// Every row of a table that belongs to no tenant.
async fn all<E>(database: &Database) -> Result<Vec<E::Model>>
where
    E: EntityTrait,
    E::Model: Send + Sync,
{
    database
        .read_through(Door::Installation, |tx| Box::pin(async { Ok(E::find().all(tx.conn()).await?) }))
        .await
}

async fn insert_through_door<E>(database: &Database, rows: Vec<E::Model>) -> Result<()>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel> + Send,
    E::ActiveModel: Send + 'static,
{
    let rows: Vec<_> = rows.into_iter().map(storable::<E>).collect();
    database.write_through(Door::Installation, |tx| Box::pin(insert(tx.conn(), rows))).await
}

/// A copy under way.
struct Copy<'a> {
    from: &'a Database,
    to: &'a Database,
    tenants: &'a [TenantId],
    tell: &'a mut (dyn FnMut(&Copied) + Send),
}

impl Copy<'_> {
    async fn table<E>(&mut self) -> Result<Copied>
    where
        E: TenantScoped,
        E::Model: IntoActiveModel<E::ActiveModel> + Send + Sync,
        E::ActiveModel: Send + 'static,
    {
        let mut copied = Copied { table: E::default().table_name(), rows: 0 };
        for tenant in self.tenants {
            for part in parts::<E>(self.from, *tenant).await? {
                self.part::<E>(*tenant, part, &mut copied).await?;
            }
        }
        let (there, here) = (self.count::<E>(self.from).await?, self.count::<E>(self.to).await?);
        if (there, here) == (copied.rows, copied.rows) {
            return Ok(copied);
        }
        Err(Error::invalid(format!(
            "{} rows of {} were copied, and now there are {there} to copy and {here} copied: somebody writes to one of \
             the databases; stop the service, and copy again into another empty database",
            copied.rows, copied.table
        )))
    }

    /// Copies the rows of a tenant that are in one part of a table.
    async fn part<E>(&mut self, tenant: TenantId, part: Part, copied: &mut Copied) -> Result<()>
    where
        E: TenantScoped,
        E::Model: IntoActiveModel<E::ActiveModel> + Send + Sync,
        E::ActiveModel: Send + 'static,
    {
        let (mut after, mut limit) = (Vec::new(), FIRST_ROWS);
        loop {
            let from = after.clone();
            let page = self.from.read(tenant, move |tx| Box::pin(page::<E>(tx, part, from, limit))).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = order::<E>().map(|column| last.get(column)).collect();
            let rows: Vec<_> = page.into_iter().map(storable::<E>).collect();
            let (count, bytes) = (rows.len() as u64, rows.iter().map(size).sum::<u64>());
            self.to.write(tenant, |tx| Box::pin(insert(tx.conn(), rows))).await?;
            copied.rows += count;
            (self.tell)(copied);
            if count < limit {
                return Ok(());
            }
            limit = (count * PAGE_BYTES / bytes.max(1)).clamp(1, MOST_ROWS);
        }
    }

    async fn count<E: TenantScoped>(&self, database: &Database) -> Result<u64> {
        let mut count = 0;
        for tenant in self.tenants {
            for part in parts::<E>(database, *tenant).await? {
                count += database.read(*tenant, move |tx| Box::pin(rows_in::<E>(tx, part))).await?;
            }
        }
        Ok(count)
    }
}

/// Rows of a tenant that an index keeps together: those of a project or, in tables without projects, all.
type Part = Option<Uuid>;

/// The column that names a row's project, in tables whose rows belong to one.
fn project_column<E: EntityTrait>() -> Option<E::Column> {
    E::Column::iter().find(|column| column.as_str() == "project_id" && !column.def().is_null())
}

/// The columns that order the rows of a part: the key without the project.
fn order<E: EntityTrait>() -> impl Iterator<Item = E::Column> {
    E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).filter(|it| it.as_str() != "project_id")
}

/// All parts of a tenant's rows of a table.
async fn parts<E: TenantScoped>(database: &Database, tenant: TenantId) -> Result<Vec<Part>> {
    if project_column::<E>().is_none() {
        return Ok(vec![None]);
    }
    let projects = database.read(tenant, |tx| {
        Box::pin(async {
            let ids = tx.find::<project::Entity>().select_only().column(project::Column::Id);
            Ok(ids.into_tuple::<Uuid>().all(tx.conn()).await?)
        })
    });
    Ok(projects.await?.into_iter().map(Some).collect())
}

fn find<E: TenantScoped>(tx: &Tx<'_>, part: Part) -> Select<E> {
    let project = part.and_then(|id| Some(project_column::<E>()?.eq(id)));
    tx.find::<E>().filter(Condition::all().add_option(project))
}

/// Up to `limit` rows of a part, behind the one whose key is `after`.
async fn page<E: TenantScoped>(
    tx: &Tx<'_>,
    part: Part,
    after: Vec<Value>,
    limit: u64,
) -> Result<Vec<E::Model>> {
    let mut query = find::<E>(tx, part).limit(limit);
    for column in order::<E>() {
        query = query.order_by_asc(column);
    }
    if !after.is_empty() {
        let key = Expr::tuple(order::<E>().map(Expr::col));
        query = query.filter(sea_query::ExprTrait::gt(key, Expr::tuple(after.into_iter().map(Expr::value))));
    }
    Ok(query.all(tx.conn()).await?)
}

async fn rows_in<E: TenantScoped>(tx: &Tx<'_>, part: Part) -> Result<u64> {
    let count = find::<E>(tx, part).select_only().expr(E::tenant_column().count());
    let count = count.into_tuple::<i64>().one(tx.conn()).await?;
    u64::try_from(count.unwrap_or_default()).map_err(Error::internal)
}

/// Inserts rows by statements of a few sizes, which the database need not prepare anew each time.
async fn insert<A>(conn: &DatabaseTransaction, mut rows: Vec<A>) -> Result<()>
where
    A: ActiveModelTrait + Send,
{
    while let Some(largest) = rows.len().checked_ilog2() {
        let size = (1 << largest).min(MOST_ROWS as usize);
        let some = rows.split_off(rows.len() - size);
        A::Entity::insert_many(some).exec_without_returning(conn).await?;
    }
    Ok(())
}

/// A row as any engine can store it.
fn storable<E>(row: E::Model) -> E::ActiveModel
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
{
    let mut row = row.into_active_model();
    for column in E::Column::iter() {
        match row.get(column).into_value() {
            Some(Value::String(Some(text))) if text.contains('\0') => {
                row.set(column, without_nul(&text).into())
            }
            Some(Value::Json(Some(json))) if json.to_string().contains(r"\u0000") => {
                row.set(column, json_without_nul(*json).into());
            }
            _ => {}
        }
    }
    row
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn json_without_nul(json: Json) -> Json {
    match json {
        Json::String(text) => Json::String(without_nul(&text)),
        Json::Array(items) => items.into_iter().map(json_without_nul).collect(),
        Json::Object(fields) => {
            fields.into_iter().map(|(name, value)| (without_nul(&name), json_without_nul(value))).collect()
        }
        other => other,
    }
}

/// About how many bytes a row takes.
fn size<A: ActiveModelTrait>(row: &A) -> u64 {
    let sizes = <A::Entity as EntityTrait>::Column::iter().map(|column| match row.get(column).into_value() {
        Some(Value::Bytes(Some(bytes))) => bytes.len(),
        Some(Value::String(Some(text))) => text.len(),
        Some(Value::Json(Some(json))) => json.to_string().len(),
        _ => 16,
    });
    sizes.sum::<usize>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgresql_cannot_store_is_replaced_wherever_it_is() {
        let json = serde_json::json!({"a\0": ["b\0", {"c": "\\u0000"}], "d": 1});
        let clean = serde_json::json!({"a\u{fffd}": ["b\u{fffd}", {"c": "\\u0000"}], "d": 1});
        assert_eq!(json_without_nul(json), clean);
    }
}
