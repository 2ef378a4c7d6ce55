//! Failures of the database, made to order: triggers, in the words of either engine.

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend};

/// Makes every insert into a table fail with these words, until it is mended.
pub(crate) async fn refuse_inserts(database: &DatabaseConnection, table: &str, words: &str) {
    refuse_inserts_when(database, table, "1 = 1", words).await;
}

/// Makes the inserts into a table that meet a condition fail with these words, until it is mended.
pub(crate) async fn refuse_inserts_when(database: &DatabaseConnection, table: &str, when: &str, words: &str) {
    let sql = match database.get_database_backend() {
        DbBackend::Postgres => {
            let body = format!("IF {when} THEN RAISE EXCEPTION '{words}'; END IF; RETURN NEW;");
            trigger(table, "refused", &body)
        }
        _ => format!(
            "CREATE TRIGGER refused_{table} BEFORE INSERT ON {table} WHEN {when} \
             BEGIN SELECT RAISE(ABORT, '{words}'); END"
        ),
    };
    database.execute_unprepared(&sql).await.unwrap();
}

/// Counts the rows that are written into a table from now on, in a table of its own: `writes_of_{table}`.
pub(crate) async fn count_writes(database: &DatabaseConnection, table: &str) {
    let made = format!("CREATE TABLE writes_of_{table} (n integer)");
    database.execute_unprepared(&made).await.unwrap();
    let count = format!("INSERT INTO writes_of_{table} VALUES (1)");
    let statements = match database.get_database_backend() {
        DbBackend::Postgres => vec![format!(
            "CREATE OR REPLACE FUNCTION counted_{table}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
             AS $$ BEGIN {count}; RETURN NULL; END $$; \
             CREATE TRIGGER counted_{table} AFTER INSERT OR UPDATE ON {table} FOR EACH ROW \
             EXECUTE FUNCTION counted_{table}()"
        )],
        _ => ["INSERT", "UPDATE"]
            .map(|write| {
                format!("CREATE TRIGGER counted_{write}_{table} AFTER {write} ON {table} BEGIN {count}; END")
            })
            .to_vec(),
    };
    for statement in statements {
        database.execute_unprepared(&statement).await.unwrap();
    }
}

/// Lets a table take inserts again.
pub(crate) async fn mend(database: &DatabaseConnection, table: &str) {
    let on = if database.get_database_backend() == DbBackend::Postgres {
        format!(" ON {table}")
    } else {
        "".into()
    };
    database.execute_unprepared(&format!("DROP TRIGGER refused_{table}{on}")).await.unwrap();
}

/// Changes a column of the rows inserted into a table that meet a condition.
pub(crate) async fn falsify(
    database: &DatabaseConnection,
    table: &str,
    when: &str,
    column: &str,
    value: &str,
) {
    let sql = match database.get_database_backend() {
        DbBackend::Postgres => {
            let body = format!("IF {when} THEN NEW.{column} := {value}; END IF; RETURN NEW;");
            trigger(table, "falsified", &body)
        }
        _ => format!(
            "CREATE TRIGGER falsified_{table} AFTER INSERT ON {table} WHEN {when} \
             BEGIN UPDATE {table} SET {column} = {value} WHERE id = NEW.id; END"
        ),
    };
    database.execute_unprepared(&sql).await.unwrap();
}

fn trigger(table: &str, what: &str, body: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION {what}_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$; \
         CREATE TRIGGER {what}_{table} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {what}_{table}()"
    )
}
