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
    ConnectionTrait as _, DatabaseTransaction, FromQueryResult as _, IdenStatic as _, IntoActiveModel,
    Iterable as _, Order, PrimaryKeyToColumn, QueryResult, QuerySelect as _, Value,
    prelude::*,
    sea_query::{self, Asterisk, DynIden, IntoIden as _, Query, SelectStatement},
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
    let (tenant, instance) = (Table::of::<tenant::Entity>(), Table::of::<instance::Entity>());
    let the_instance = instance.all(from).await?;
    if the_instance.is_empty() {
        return Err(Error::invalid("there is no installation in it that could be copied"));
    }
    if !tenant.all(to).await?.is_empty() || !instance.all(to).await?.is_empty() {
        return Err(Error::invalid(
            "a copy needs an empty database, and there is something in this one; name another",
        ));
    }
    let mut copied = vec![tenant.copy_all(from, to).await?];
    macro_rules! each_of_nobody {
        ($($table:ident),*) => {$( copied.push(Table::of::<$table::Entity>().copy_all(from, to).await?); )*};
    }
    each_of_nobody!(person, identity, signing_key, oauth_client);
    let tenants = from.read_through(Door::Installation, |tx| {
        Box::pin(async {
            let ids = tenant::Entity::find().select_only().column(tenant::Column::Id);
            Ok(ids.into_tuple::<Uuid>().all(tx.conn()).await?)
        })
    });
    let tenants: Vec<_> = tenants.await?.into_iter().map(TenantId).collect();
    let mut copy = Copy { from, to, tenants: &tenants, tell };
    macro_rules! each {
        ($($table:ident),*) => {$( copied.push(copy.table(&Table::of_tenants::<$table::Entity>()).await?); )*};
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
    copied.push(instance.copy_all(from, to).await?);
    Ok(copied)
}

/// A row's values, in the order of its table's columns.
type Row = Vec<Value>;

/// What has to be known of a table, told as data: so there is one copy for all tables, and not one of its code for each.
#[derive(Clone)]
struct Table {
    name: &'static str,
    columns: Vec<DynIden>,
    /// The columns that order rows: the key without the project, as places among the columns.
    order: Vec<usize>,
    /// The column that names a row's tenant, where rows have one.
    tenant: Option<DynIden>,
    /// The column that names a row's project, in tables whose rows belong to one.
    project: Option<DynIden>,
    read: fn(&QueryResult) -> Result<Row, DbErr>,
}

impl Table {
    fn of<E>() -> Self
    where
        E: EntityTrait,
        E::Model: IntoActiveModel<E::ActiveModel>,
    {
        let is_project = |column: &E::Column| column.as_str() == "project_id" && !column.def().is_null();
        let place = |key: E::PrimaryKey| {
            let name = key.into_column().as_str();
            E::Column::iter().position(|column| column.as_str() == name)
        };
        let keys = E::PrimaryKey::iter().filter(|key| key.into_column().as_str() != "project_id");
        Self {
            name: E::default().table_name(),
            columns: E::Column::iter().map(|column| column.into_iden()).collect(),
            order: keys.filter_map(place).collect(),
            tenant: None,
            project: E::Column::iter().find(is_project).map(|column| column.into_iden()),
            read: read::<E>,
        }
    }

    fn of_tenants<E>() -> Self
    where
        E: TenantScoped,
        E::Model: IntoActiveModel<E::ActiveModel>,
    {
        Self { tenant: Some(E::tenant_column().into_iden()), ..Self::of::<E>() }
    }

    /// The rows of a tenant that are in one part of the table, in a table without tenants all.
    fn rows(&self, tenant: Option<TenantId>, part: Part) -> SelectStatement {
        let is = |column: &Option<DynIden>, id: Option<Uuid>| {
            Some(sea_query::ExprTrait::eq(Expr::col(column.clone()?), id?))
        };
        let mut query = Query::select();
        query.from(self.name);
        let conditions = [is(&self.tenant, tenant.map(|tenant| tenant.0)), is(&self.project, part)];
        conditions.into_iter().flatten().for_each(|condition| {
            query.and_where(condition);
        });
        query
    }

    async fn query(&self, conn: &DatabaseTransaction, mut query: SelectStatement) -> Result<Vec<Row>> {
        query.columns(self.columns.iter().cloned());
        let rows = conn.query_all(&query).await?;
        rows.iter().map(|row| Ok((self.read)(row)?)).collect()
    }

    /// Up to `limit` rows of a part, behind the one whose key is `after`.
    async fn page(&self, tx: &Tx<'_>, part: Part, after: Row, limit: u64) -> Result<Vec<Row>> {
        let mut query = self.rows(Some(tx.tenant()), part);
        let key: Vec<_> = self.order.iter().map(|place| self.columns[*place].clone()).collect();
        key.iter().for_each(|column| {
            query.order_by(column.clone(), Order::Asc);
        });
        if !after.is_empty() {
            let key = Expr::tuple(key.into_iter().map(Expr::col));
            query.and_where(sea_query::ExprTrait::gt(key, Expr::tuple(after.into_iter().map(Expr::value))));
        }
        query.limit(limit);
        self.query(tx.conn(), query).await
    }

    /// How many rows there are in a part.
    async fn count(&self, tx: &Tx<'_>, part: Part) -> Result<u64> {
        let mut query = self.rows(Some(tx.tenant()), part);
        query.expr(sea_query::ExprTrait::count(Expr::col(Asterisk)));
        let row = tx.conn().query_one(&query).await?;
        let count = row.map(|row| row.try_get_by_index::<i64>(0)).transpose()?;
        u64::try_from(count.unwrap_or_default()).map_err(Error::internal)
    }

    /// Inserts rows by statements of a few sizes, which the database need not prepare anew each time.
    async fn insert(&self, conn: &DatabaseTransaction, mut rows: Vec<Row>) -> Result<()> {
        while let Some(largest) = rows.len().checked_ilog2() {
            let size = (1 << largest).min(MOST_ROWS as usize);
            let mut insert = Query::insert();
            insert.into_table(self.name).columns(self.columns.iter().cloned());
            for row in rows.split_off(rows.len() - size) {
                insert.values(row.into_iter().map(Expr::value)).map_err(Error::internal)?;
            }
            conn.execute(&insert).await?;
        }
        Ok(())
    }

    /// All rows of a table that belongs to no tenant; there are few in it.
    async fn all(&self, database: &Database) -> Result<Vec<Row>> {
        let table = self.clone();
        let all = database.read_through(Door::Installation, |tx| {
            Box::pin(async move { table.query(tx.conn(), table.rows(None, None)).await })
        });
        all.await
    }

    /// Copies a table that belongs to no tenant.
    async fn copy_all(&self, from: &Database, to: &Database) -> Result<Copied> {
        let rows: Vec<_> = self.all(from).await?.into_iter().map(storable).collect();
        let (table, copied) = (self.clone(), Copied { table: self.name, rows: rows.len() as u64 });
        let insert = to.write_through(Door::Installation, |tx| {
            Box::pin(async move { table.insert(tx.conn(), rows).await })
        });
        insert.await?;
        Ok(copied)
    }
}

/// A row's values, which only the table's own type can read.
fn read<E>(row: &QueryResult) -> Result<Row, DbErr>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
{
    let row = E::Model::from_query_result(row, "")?.into_active_model();
    E::Column::iter()
        .map(|column| {
            row.get(column).into_value().ok_or_else(|| DbErr::Custom("a row lacks a value".to_owned()))
        })
        .collect()
}

/// A copy under way.
struct Copy<'a> {
    from: &'a Database,
    to: &'a Database,
    tenants: &'a [TenantId],
    tell: &'a mut (dyn FnMut(&Copied) + Send),
}

/// Rows of a tenant that an index keeps together: those of a project or, in tables without projects, all.
type Part = Option<Uuid>;

impl Copy<'_> {
    async fn table(&mut self, table: &Table) -> Result<Copied> {
        let mut copied = Copied { table: table.name, rows: 0 };
        for tenant in self.tenants {
            for part in parts(self.from, *tenant, table).await? {
                self.part(*tenant, table, part, &mut copied).await?;
            }
        }
        let (there, here) = (self.count(self.from, table).await?, self.count(self.to, table).await?);
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
    async fn part(&mut self, tenant: TenantId, table: &Table, part: Part, copied: &mut Copied) -> Result<()> {
        let (mut after, mut limit) = (Vec::new(), FIRST_ROWS);
        loop {
            let (here, there, from) = (table.clone(), table.clone(), after.clone());
            let page = self
                .from
                .read(tenant, move |tx| Box::pin(async move { there.page(tx, part, from, limit).await }));
            let page = page.await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = table.order.iter().map(|place| last[*place].clone()).collect();
            let rows: Vec<_> = page.into_iter().map(storable).collect();
            let (count, bytes) = (rows.len() as u64, rows.iter().flatten().map(size).sum::<u64>());
            let insert =
                self.to.write(tenant, |tx| Box::pin(async move { here.insert(tx.conn(), rows).await }));
            insert.await?;
            copied.rows += count;
            (self.tell)(copied);
            if count < limit {
                return Ok(());
            }
            limit = (count * PAGE_BYTES / bytes.max(1)).clamp(1, MOST_ROWS);
        }
    }

    async fn count(&self, database: &Database, table: &Table) -> Result<u64> {
        let mut count = 0;
        for tenant in self.tenants {
            for part in parts(database, *tenant, table).await? {
                let table = table.clone();
                let rows =
                    database.read(*tenant, move |tx| Box::pin(async move { table.count(tx, part).await }));
                count += rows.await?;
            }
        }
        Ok(count)
    }
}

/// All parts of a tenant's rows of a table.
async fn parts(database: &Database, tenant: TenantId, table: &Table) -> Result<Vec<Part>> {
    if table.project.is_none() {
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

/// A row as any engine can store it.
fn storable(mut row: Row) -> Row {
    for value in &mut row {
        match value {
            Value::String(Some(text)) if text.contains('\0') => *text = without_nul(text),
            Value::Json(Some(json)) if json.to_string().contains(r"\u0000") => {
                **json = json_without_nul(json.take());
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

/// About how many bytes a value takes.
fn size(value: &Value) -> u64 {
    let size = match value {
        Value::Bytes(Some(bytes)) => bytes.len(),
        Value::String(Some(text)) => text.len(),
        Value::Json(Some(json)) => json.to_string().len(),
        _ => 16,
    };
    size as u64
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
