//! Finding rows by the words in their text, alike on both engines.
//!
//! Whoever indexes a text says which words it has, in their order, and which marks: terms that are in no text, such as
//! that a word stands in the title. Whoever searches says which terms a text must have and which not. How texts are
//! split into words is not known here, and neither engine does it: to FTS5 and to `tsvector` a term is a term.
//!
//! Every text is marked with its project, and every search with the project that it is for. That mark and all others
//! contain a character that is in no word, so that no word, whoever typed it, can be taken for a mark. What is found is
//! looked at once more: whether its row belongs to that tenant and project.
//!
//! Row-level security would keep PostgreSQL from using an index here, because the operator `@@` is not leakproof. So a
//! search goes through a door of its own, which gives ids; the rows are read in the tenant's transaction.

use std::collections::BTreeSet;

use sea_orm::{
    ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement, Value, prelude::Uuid,
    sea_query::ArrayType,
};
use serde_json::json;

use super::{DoorTx, TenantId, Tx};
use crate::{
    error::{Error, Result},
    wire::ProjectId,
};

/// In every mark, and in no word.
const MARK: char = '·';
/// Words whose places are known; phrases are found among those. PostgreSQL knows places up to 16,383.
pub const PLACES: usize = 16_000;
/// The place of all further words, of which none is next to another.
const BEYOND: usize = 16_383;
/// Places of one lexeme that PostgreSQL keeps.
const PLACES_OF_ONE: usize = 255;
/// Texts of a project that PostgreSQL knows as one batch.
const BATCH: i64 = 500;
/// Batches, newer ones first, that PostgreSQL looks through at once for words; then all that are left.
const WINDOWS: [i64; 2] = [2, 16];
/// The same for phrases; then as many as the last time, again and again.
const PHRASE_WINDOWS: [i64; 3] = [1, 4, 16];
/// Texts among which phrases are looked for only so that they are counted.
const COUNTED_AMONG: i64 = 2_000;

/// A term that is in no text: `label` says of `word` what nobody can write.
pub fn mark(label: char, word: &str) -> String {
    format!("{label}{MARK}{word}")
}

/// How lexemes begin in which the places of a frequent word go on; no mark begins so.
fn on(word: &str) -> String {
    format!("{word}{MARK}{MARK}")
}

fn of_project(project: ProjectId) -> String {
    mark('p', &project.0.simple().to_string())
}

/// The terms of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Its first words in order, at most [`PLACES`]; none where what is before is not next to what is behind.
    pub words: Vec<Option<String>>,
    /// Words whose place is not known.
    pub further: BTreeSet<String>,
    /// What else is to be found.
    pub marks: BTreeSet<String>,
}

/// Words next to each other, or a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The words, of which there is one at least.
    pub words: Vec<String>,
    /// Whether the last one may go on.
    pub is_prefix: bool,
}

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Terms that a text has.
    pub all: Vec<Term>,
    /// Terms that it does not have.
    pub none: Vec<Term>,
    /// Terms of which it lacks at least one, if there are any.
    pub not_all: Vec<Term>,
}

impl Tx<'_> {
    /// Makes texts be found, by what each is the text of, and no more by what they said before.
    ///
    /// # Errors
    /// The database's.
    pub async fn index_texts(&self, project: ProjectId, texts: Vec<(Uuid, Terms)>) -> Result<()> {
        let (tenant, its_mark) = (self.tenant().0, of_project(project));
        let texts = texts.into_iter().map(|(id, mut terms)| {
            terms.marks.insert(its_mark.clone());
            (id, terms)
        });
        if is_postgres(self.conn()) {
            let (ids, vectors): (Vec<_>, Vec<_>) =
                texts.map(|(id, terms)| (Value::from(id), Value::from(vector(&terms)))).unzip();
            let sql = format!(
                "WITH text AS (SELECT * FROM unnest($3::uuid[], $4::text[]) WITH ORDINALITY AS text (id, words, at)), \
                 last AS (SELECT coalesce(max(number), 0) AS number FROM artifact_text \
                          WHERE tenant_id = $1 AND project_id = $2), \
                 new AS (SELECT id, text.words, coalesce(old.number, last.number + at) AS number \
                         FROM text CROSS JOIN last LEFT JOIN artifact_text AS old ON artifact_id = id) \
                 INSERT INTO artifact_text (artifact_id, tenant_id, project_id, number, words) \
                 SELECT id, $1, $2, number, (words || '''{}' || number / {BATCH} || '''')::tsvector FROM new \
                 ON CONFLICT (artifact_id) DO UPDATE SET words = excluded.words",
                mark('b', "")
            );
            let values = [
                tenant.into(),
                project.0.into(),
                array(ArrayType::Uuid, ids),
                array(ArrayType::String, vectors),
            ];
            return run(self.conn(), &sql, values).await.map(|_| ());
        }
        // In one statement for all: FTS5 writes what it has gathered before each.
        let texts: serde_json::Value = texts.map(|(id, terms)| json!([id.simple(), row(&terms)])).collect();
        let texts = texts.to_string();
        let sql = "INSERT INTO artifact_text (artifact_id, tenant_id, project_id) \
                   SELECT unhex(value ->> 0), ?, ? FROM json_each(?) WHERE true \
                   ON CONFLICT (artifact_id) DO NOTHING";
        run(self.conn(), sql, [tenant.into(), project.0.into(), texts.clone().into()]).await?;
        let sql = "INSERT OR REPLACE INTO artifact_words (rowid, words) SELECT number, value ->> 1 \
                   FROM json_each(?) CROSS JOIN artifact_text ON artifact_id = unhex(value ->> 0) \
                   WHERE tenant_id = ? AND project_id = ?";
        run(self.conn(), sql, [texts.into(), tenant.into(), project.0.into()]).await.map(|_| ())
    }

    /// Makes texts be found no more. They keep their places, in case somebody has come that far in a list.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_texts(&self, project: ProjectId, ids: Vec<Uuid>) -> Result<()> {
        let (tenant, project) = (self.tenant().0, project.0);
        if is_postgres(self.conn()) {
            let sql = "UPDATE artifact_text SET words = '' \
                       WHERE tenant_id = $1 AND project_id = $2 AND artifact_id = ANY($3::uuid[])";
            let ids = ids.into_iter().map(Value::from).collect();
            return run(self.conn(), sql, [tenant.into(), project.into(), array(ArrayType::Uuid, ids)])
                .await
                .map(|_| ());
        }
        for id in ids {
            let sql = "DELETE FROM artifact_words WHERE rowid = \
                       (SELECT number FROM artifact_text WHERE tenant_id = ? AND project_id = ? AND artifact_id = ?)";
            run(self.conn(), sql, [tenant.into(), project.into(), id.into()]).await?;
        }
        Ok(())
    }

    /// Removes up to `limit` texts of a project; gives their number.
    ///
    /// # Errors
    /// The database's.
    pub async fn purge_texts(&self, project: ProjectId, limit: u64) -> Result<u64> {
        let is_postgres = is_postgres(self.conn());
        let [one, two, three] = if is_postgres { ["$1", "$2", "$3"] } else { ["?", "?", "?"] };
        let key = if is_postgres { "artifact_id" } else { "number" };
        let some = format!(
            "IN (SELECT {key} FROM artifact_text WHERE tenant_id = {one} AND project_id = {two} ORDER BY {key} LIMIT {three})"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [Value::from(self.tenant().0), project.0.into(), limit.into()];
        if !is_postgres {
            run(self.conn(), &format!("DELETE FROM artifact_words WHERE rowid {some}"), values.clone())
                .await?;
        }
        run(self.conn(), &format!("DELETE FROM artifact_text WHERE {key} {some}"), values).await
    }
}

impl DoorTx<'_> {
    /// The place before the newest text of a project. To be asked before the first search of a transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn newest_text(&self, (tenant, project): (TenantId, ProjectId)) -> Result<TextPlace> {
        if !is_postgres(self.conn) {
            return Ok(TextPlace(i64::MAX));
        }
        let sql = "SELECT max(number) + 1 FROM artifact_text WHERE tenant_id = $1 AND project_id = $2";
        let row =
            self.conn.query_one_raw(statement(self.conn, sql, [tenant.0.into(), project.0.into()])).await?;
        let number: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        // From here on the words are the way: to look into those of each document takes much longer than the server thinks.
        self.conn.execute_unprepared("SET LOCAL enable_indexscan = off").await?;
        Ok(TextPlace(number.unwrap_or_default()))
    }

    /// The place of a text of a project; none if there is no such text.
    ///
    /// # Errors
    /// The database's.
    pub async fn place_of_text(
        &self,
        (tenant, project): (TenantId, ProjectId),
        text: Uuid,
    ) -> Result<Option<TextPlace>> {
        let sql = match is_postgres(self.conn) {
            true => {
                "SELECT number FROM artifact_text WHERE tenant_id = $1 AND project_id = $2 AND artifact_id = $3"
            }
            false => {
                "SELECT number FROM artifact_text WHERE tenant_id = ? AND project_id = ? AND artifact_id = ?"
            }
        };
        let values = [tenant.0.into(), project.0.into(), text.into()];
        let row = self.conn.query_one_raw(statement(self.conn, sql, values)).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.map(TextPlace))
    }

    /// Texts of a project that are as wanted, newer ones first, behind a place in that order. Up to `most` if that costs
    /// little, and at least up to `least`.
    ///
    /// # Errors
    /// The database's.
    pub async fn search(
        &self,
        (tenant, project): (TenantId, ProjectId),
        wanted: &Wanted,
        TextPlace(before): TextPlace,
        (least, most): (u64, u64),
    ) -> Result<Vec<Uuid>> {
        let mut wanted = wanted.clone();
        wanted.all.push(Term { words: vec![of_project(project)], is_prefix: false });
        let whose = (tenant.0, project.0);
        match is_postgres(self.conn) {
            true => find_in_batches(self.conn, &wanted, whose, before, (least, most)).await,
            false => find_rows(self.conn, &wanted, whose, before, most).await,
        }
    }
}

/// A place among the texts of a project: newer ones are behind greater numbers.
#[derive(Clone, Copy, Debug)]
pub struct TextPlace(i64);

/// Whose texts are looked at: the tenant and the project.
type Whose = (Uuid, Uuid);

/// SQLite: rows come in the order of the index, so that the first are there at once.
async fn find_rows(
    conn: &DatabaseTransaction,
    wanted: &Wanted,
    (tenant, project): Whose,
    before: i64,
    most: u64,
) -> Result<Vec<Uuid>> {
    let sql = "SELECT artifact_id FROM artifact_words CROSS JOIN artifact_text ON number = artifact_words.rowid \
               WHERE artifact_words MATCH ? AND artifact_words.rowid < ? AND tenant_id = ? AND project_id = ? \
               ORDER BY artifact_words.rowid DESC LIMIT ?";
    let values = [wanted.expression().into(), before.into(), tenant.into(), project.into(), count(most)];
    let rows = conn.query_all_raw(statement(conn, sql, values)).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// PostgreSQL: rows come in no order, and all that are found are fetched. So newer ones are looked for first, by the
/// mark of their batch. Words and marks are told by the index alone; whether words are next to each other is looked up
/// in each text that has them.
async fn find_in_batches(
    conn: &DatabaseTransaction,
    wanted: &Wanted,
    (tenant, project): Whose,
    mut before: i64,
    (least, most): (u64, u64),
) -> Result<Vec<Uuid>> {
    let has_phrases = wanted.has_phrases();
    let (loosely, exactly) = (wanted.loosely().query(), wanted.query());
    let (mut ids, mut seen) = (Vec::new(), 0);
    for window in 0.. {
        let last = (before - 1).div_euclid(BATCH);
        let batches = match has_phrases {
            true => PHRASE_WINDOWS.get(window).or(PHRASE_WINDOWS.last()),
            false => WINDOWS.get(window),
        };
        let first = batches.map_or(0, |batches| (last - batches + 1).max(0));
        let among = match batches {
            Some(_) => {
                let marks = (first..=last).map(|batch| quoted(&mark('b', &batch.to_string())));
                format!(" & ({})", marks.collect::<Vec<_>>().join(" | "))
            }
            None => String::new(),
        };
        // The rest is looked at behind the words, so that no other index is taken instead.
        let is_it = if has_phrases { "words @@ $6::tsquery" } else { "true" };
        let sql = format!(
            "SELECT artifact_id, {is_it} FROM (SELECT * FROM artifact_text WHERE words @@ $1::tsquery OFFSET 0) AS found \
             WHERE tenant_id = $2 AND project_id = $3 AND number < $4 ORDER BY number DESC LIMIT $5"
        );
        let limit = if has_phrases { i64::MAX.into() } else { count(most - ids.len() as u64) };
        let query = format!("{loosely}{among}");
        let mut values = vec![query.into(), tenant.into(), project.into(), before.into(), limit];
        if has_phrases {
            values.push(exactly.clone().into());
        }
        for row in conn.query_all_raw(statement(conn, &sql, values)).await? {
            seen += 1;
            if row.try_get_by_index(1)? {
                ids.push(row.try_get_by_index(0)?);
            }
        }
        before = first * BATCH;
        let enough = if has_phrases && seen >= COUNTED_AMONG { least } else { most };
        if ids.len() as u64 >= enough || before <= 0 {
            break;
        }
    }
    ids.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(ids)
}

impl Wanted {
    fn has_phrases(&self) -> bool {
        let terms = self.all.iter().chain(&self.none).chain(&self.not_all);
        terms.into_iter().any(|term| term.words.len() > 1)
    }

    /// The same, but words need not be next to each other.
    fn loosely(&self) -> Self {
        let one = |term: &Term, at: usize| Term {
            words: vec![term.words[at].clone()],
            is_prefix: term.is_prefix && at + 1 == term.words.len(),
        };
        let all = self.all.iter().flat_map(|term| (0..term.words.len()).map(move |at| one(term, at)));
        let is_word = |term: &&Term| term.words.len() == 1;
        let none = self.none.iter().filter(is_word).cloned().collect();
        let not_all =
            if self.not_all.iter().all(|term| is_word(&term)) { self.not_all.clone() } else { Vec::new() };
        Self { all: all.collect(), none, not_all }
    }

    /// For FTS5, in which a text in quotes is never anything else.
    fn expression(&self) -> String {
        let term = |term: &Term| {
            let words = term.words.join(" ").replace('"', "\"\"");
            format!("\"{words}\"{}", if term.is_prefix { " *" } else { "" })
        };
        let join = |terms: &[Term], word: &str| terms.iter().map(term).collect::<Vec<_>>().join(word);
        let mut not: Vec<_> = self.none.iter().map(term).collect();
        if !self.not_all.is_empty() {
            not.push(format!("({})", join(&self.not_all, " AND ")));
        }
        let all = join(&self.all, " AND ");
        if not.is_empty() { all } else { format!("({all}) NOT ({})", not.join(" OR ")) }
    }

    /// For `tsquery`, in which a text in quotes is never anything else.
    fn query(&self) -> String {
        let all = self.all.iter().map(Term::query);
        let none = self.none.iter().map(|term| format!("!{}", term.query()));
        let not_all: Vec<_> = self.not_all.iter().map(Term::query).collect();
        let not_all = (!not_all.is_empty()).then(|| format!("!({})", not_all.join(" & ")));
        all.chain(none).chain(not_all).collect::<Vec<_>>().join(" & ")
    }
}

impl Term {
    fn query(&self) -> String {
        let last = self.words.len() - 1;
        let lexeme = |(at, word): (usize, &String)| {
            let may_go_on = if self.is_prefix && at == last { ":*" } else { "" };
            match last {
                0 => format!("{}{may_go_on}", quoted(word)),
                // Places of a frequent word go on in further lexemes.
                _ => format!("({}{may_go_on} | {}:*)", quoted(word), quoted(&on(word))),
            }
        };
        let words: Vec<_> = self.words.iter().enumerate().map(lexeme).collect();
        format!("({})", words.join(" <-> "))
    }
}

/// What FTS5 indexes: terms between spaces.
fn row(terms: &Terms) -> String {
    let mut row = String::new();
    let mut push = |term: &str| {
        row.push_str(term);
        row.push(' ');
    };
    let gap = MARK.to_string();
    terms.words.iter().for_each(|word| push(word.as_deref().unwrap_or(&gap)));
    terms.marks.iter().for_each(|mark| push(mark));
    terms.further.iter().for_each(|word| {
        push(&gap);
        push(word);
    });
    row
}

/// What PostgreSQL indexes: each lexeme with its places.
fn vector(terms: &Terms) -> String {
    let placed = (1..).zip(&terms.words).filter_map(|(at, word)| Some((word.as_deref()?, at)));
    let further = terms.further.iter().map(|word| (&**word, BEYOND));
    let mut places: Vec<(&str, usize)> = placed.chain(further).collect();
    places.sort_unstable();
    let mut vector = String::new();
    for places in places.chunk_by(|(one, _), (other, _)| one == other) {
        let word = places[0].0;
        for (part, places) in places.chunks(PLACES_OF_ONE).enumerate() {
            vector += &if part == 0 { quoted(word) } else { quoted(&format!("{}{part}", on(word))) };
            for (separator, (_, at)) in std::iter::once(':').chain(std::iter::repeat(',')).zip(places) {
                vector.push(separator);
                vector += &at.to_string();
            }
            vector.push(' ');
        }
    }
    for mark in &terms.marks {
        vector += &quoted(mark);
        vector.push(' ');
    }
    vector
}

fn quoted(lexeme: &str) -> String {
    format!("'{}'", lexeme.replace('\\', "\\\\").replace('\'', "''"))
}

fn is_postgres(conn: &DatabaseTransaction) -> bool {
    conn.get_database_backend() == DbBackend::Postgres
}

fn array(kind: ArrayType, values: Vec<Value>) -> Value {
    Value::Array(kind, Some(Box::new(values)))
}

fn count(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

fn statement(conn: &DatabaseTransaction, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(conn.get_database_backend(), sql, values)
}

async fn run(conn: &DatabaseTransaction, sql: &str, values: impl IntoIterator<Item = Value>) -> Result<u64> {
    let done = conn.execute_raw(statement(conn, sql, values)).await.map_err(Error::from)?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(words: &[&str], is_prefix: bool) -> Term {
        Term { words: words.iter().map(|word| (*word).to_owned()).collect(), is_prefix }
    }

    #[test]
    fn what_is_wanted_is_said_in_each_engines_words() {
        let wanted = Wanted {
            all: vec![term(&["a"], false), term(&["b", "c"], true)],
            none: vec![term(&["d"], false)],
            not_all: vec![term(&["e"], false), term(&["f"], true)],
        };
        assert_eq!(wanted.expression(), r#"("a" AND "b c" *) NOT ("d" OR ("e" AND "f" *))"#);
        let loosely = "('a') & ('b') & ('c':*) & !('d') & !(('e') & ('f':*))";
        assert_eq!(wanted.loosely().query(), loosely);
        assert_eq!(
            wanted.query(),
            loosely.replace("('b') & ('c':*)", "(('b' | 'b··':*) <-> ('c':* | 'c··':*))")
        );
    }

    #[test]
    fn quotes_stay_within_quotes_even_if_a_word_had_some() {
        let wanted = Wanted { all: vec![term(&[r#"a" OR "b"#, r"c'\' | d"], false)], ..Wanted::default() };
        assert_eq!(wanted.expression(), r#""a"" OR ""b c'\' | d""#);
        assert!(wanted.query().contains(r"'c''\\'' | d'"), "{}", wanted.query());
    }

    #[test]
    fn places_of_a_frequent_word_go_on_in_further_lexemes() {
        let mut terms = Terms { words: vec![Some("a".to_owned()); 256], ..Terms::default() };
        terms.words.extend([None, Some("b".to_owned())]);
        terms.further.insert("c".to_owned());
        terms.marks.insert(mark('1', "a"));
        let vector = vector(&terms);
        assert!(vector.contains(",255 'a··1':256 'b':258 'c':16383 '1·a' "), "{vector}");
        assert!(row(&terms).ends_with("a a · b 1·a · c "));
    }
}
