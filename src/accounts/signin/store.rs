//! The rows of people and their sessions.

use std::collections::HashMap;

use entity::{identity, person, principal, session, tenant};
use sea_orm::{
    ActiveValue::Set, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    QueryTrait as _, prelude::*, sea_query::OnConflict,
};

use super::{Email, Membership, Person, PersonId, Session, session::IDLE};
use crate::{
    accounts::{PrincipalId, PrincipalKind, Role, SessionId, Tenant},
    clock::Time,
    database::{DoorTx, TenantId, Tx},
    error::{Error, Result},
    wire::Page,
};

/// Rows that one query names by their ids, at most.
const MANY: usize = 500;

pub(super) async fn person_by_email(tx: &DoorTx<'_>, email: &Email) -> Result<Option<Person>> {
    let row = person::Entity::find().filter(person::Column::Email.eq(email.as_str())).one(tx.conn()).await?;
    row.map(to_person).transpose()
}

pub(in crate::accounts) async fn person(tx: &DoorTx<'_>, id: PersonId) -> Result<Option<Person>> {
    person::Entity::find_by_id(id.0).one(tx.conn()).await?.map(to_person).transpose()
}

fn to_person(row: person::Model) -> Result<Person> {
    let person::Model { id, email, name, password, created_at } = row;
    Ok(Person { id: PersonId(id), email: Email::parse("/email", &email)?, name, password, created_at })
}

/// Inserts a person; false if somebody has the address already.
pub(super) async fn insert_person(tx: &DoorTx<'_>, new: Person) -> Result<bool> {
    let row = person::ActiveModel {
        id: Set(new.id.0),
        email: Set(new.email.as_str().to_owned()),
        name: Set(new.name),
        password: Set(new.password),
        created_at: Set(new.created_at),
    };
    let once = OnConflict::column(person::Column::Email).do_nothing().to_owned();
    let inserted = person::Entity::insert_many([row]).on_conflict(once);
    Ok(inserted.exec_without_returning(tx.conn()).await? == 1)
}

/// Who somebody is that an issuer knows.
pub(in crate::accounts) async fn person_by_identity(
    tx: &DoorTx<'_>,
    issuer: &str,
    subject: &str,
) -> Result<Option<PersonId>> {
    let row = identity::Entity::find()
        .filter(identity::Column::Issuer.eq(issuer))
        .filter(identity::Column::Subject.eq(subject));
    Ok(row.one(tx.conn()).await?.map(|row| PersonId(row.person_id)))
}

/// Whether an issuer knows a person.
pub(super) async fn has_identity(tx: &DoorTx<'_>, person: PersonId, issuer: &str) -> Result<bool> {
    let row = identity::Entity::find()
        .filter(identity::Column::Issuer.eq(issuer))
        .filter(identity::Column::PersonId.eq(person.0));
    Ok(row.one(tx.conn()).await?.is_some())
}

/// Notes who somebody is that an issuer knows, unless that is known.
pub(super) async fn insert_identity(
    tx: &DoorTx<'_>,
    id: Uuid,
    person: PersonId,
    issuer: &str,
    subject: &str,
    now: Time,
) -> Result<()> {
    let row = identity::ActiveModel {
        id: Set(id),
        person_id: Set(person.0),
        issuer: Set(issuer.to_owned()),
        subject: Set(subject.to_owned()),
        created_at: Set(now),
    };
    let both = [identity::Column::Issuer, identity::Column::Subject];
    let once = OnConflict::columns(both).do_nothing().to_owned();
    identity::Entity::insert_many([row]).on_conflict(once).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Puts another password in the place of `old`; false if that is not theirs any more.
pub(super) async fn replace_password(
    tx: &DoorTx<'_>,
    person: PersonId,
    old: Option<String>,
    hash: String,
) -> Result<bool> {
    let is_old = match old {
        Some(old) => person::Column::Password.eq(old),
        None => person::Column::Password.is_null(),
    };
    let replaced = person::Entity::update_many()
        .col_expr(person::Column::Password, Expr::value(hash))
        .filter(person::Column::Id.eq(person.0))
        .filter(is_old)
        .exec(tx.conn())
        .await?;
    Ok(replaced.rows_affected == 1)
}

/// The tenants in which a person is a principal that has not been deactivated, oldest first.
pub(super) async fn memberships(tx: &DoorTx<'_>, person: PersonId) -> Result<Vec<Membership>> {
    let mine = principal::Entity::find()
        .filter(principal::Column::PersonId.eq(person.0))
        .filter(principal::Column::DeactivatedAt.is_null())
        .all(tx.conn())
        .await?;
    let tenants = tenant::Entity::find()
        .filter(tenant::Column::Id.is_in(mine.iter().map(|row| row.tenant_id)))
        .order_by_asc(tenant::Column::Id)
        .all(tx.conn())
        .await?;
    let membership = |row: tenant::Model| {
        let principal = PrincipalId(mine.iter().find(|mine| mine.tenant_id == row.id)?.id);
        let tenant = Tenant { id: TenantId(row.id), name: row.name, created_at: row.created_at };
        Some(Membership { tenant, principal })
    };
    Ok(tenants.into_iter().filter_map(membership).collect())
}

/// The addresses of those of these principals of a tenant who are people.
pub(super) async fn addresses(
    tx: &DoorTx<'_>,
    tenant: TenantId,
    of: &[PrincipalId],
) -> Result<HashMap<PrincipalId, Email>> {
    let mut known = HashMap::new();
    for some in of.chunks(MANY) {
        let mine = principal::Entity::find()
            .filter(principal::Column::TenantId.eq(tenant.0))
            .filter(principal::Column::Id.is_in(some.iter().map(|id| id.0)))
            .filter(principal::Column::PersonId.is_not_null())
            .all(tx.conn())
            .await?;
        let people = person::Entity::find()
            .filter(person::Column::Id.is_in(mine.iter().filter_map(|row| row.person_id)))
            .all(tx.conn())
            .await?;
        for row in people {
            let person = to_person(row)?;
            let theirs = mine.iter().filter(|row| row.person_id == Some(person.id.0));
            known.extend(theirs.map(|row| (PrincipalId(row.id), person.email.clone())));
        }
    }
    Ok(known)
}

/// Whether anywhere in the installation a person is an owner.
pub(super) async fn has_owner(tx: &DoorTx<'_>) -> Result<bool> {
    Ok(principal::Entity::find().filter(is_owner()).one(tx.conn()).await?.is_some())
}

/// Whether a person is an owner of this tenant.
pub(super) async fn has_owner_here(tx: &Tx<'_>) -> Result<bool> {
    Ok(tx.find::<principal::Entity>().filter(is_owner()).one(tx.conn()).await?.is_some())
}

/// A person who is an owner, and has not been deactivated.
fn is_owner() -> Condition {
    Condition::all()
        .add(principal::Column::Kind.eq(PrincipalKind::User.as_str()))
        .add(principal::Column::Role.eq(Role::Owner.as_str()))
        .add(principal::Column::DeactivatedAt.is_null())
}

/// The person that a principal is.
pub(super) async fn person_behind(tx: &Tx<'_>, id: PrincipalId) -> Result<Option<PersonId>> {
    let row = tx.find::<principal::Entity>().filter(principal::Column::Id.eq(id.0)).one(tx.conn()).await?;
    Ok(row.and_then(|row| row.person_id).map(PersonId))
}

pub(super) async fn insert_session(
    tx: &Tx<'_>,
    new: Session,
    owner: PrincipalId,
    hash: [u8; 32],
) -> Result<()> {
    let row = session::ActiveModel {
        id: Set(new.id.0),
        tenant_id: Set(tx.tenant().0),
        principal_id: Set(owner.0),
        hash: Set(hash.to_vec()),
        method: Set(new.method.as_str().to_owned()),
        ip: Set(new.ip),
        user_agent: Set(new.user_agent),
        created_at: Set(new.created_at),
        last_seen_at: Set(new.last_seen_at),
        expires_at: Set(new.expires_at),
        revoked_at: Set(new.revoked_at),
    };
    session::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Whose session it is, whether it is over or not.
pub(super) async fn session_by_hash(
    tx: &DoorTx<'_>,
    hash: [u8; 32],
) -> Result<Option<(TenantId, PrincipalId, SessionId)>> {
    let row = session::Entity::find().filter(session::Column::Hash.eq(hash.to_vec())).one(tx.conn()).await?;
    Ok(row.map(|row| (TenantId(row.tenant_id), PrincipalId(row.principal_id), SessionId(row.id))))
}

pub(super) async fn sessions(
    tx: &Tx<'_>,
    owner: PrincipalId,
    now: Time,
    page: &Page<SessionId>,
) -> Result<Vec<Session>> {
    let mut query = tx
        .find::<session::Entity>()
        .filter(session::Column::PrincipalId.eq(owner.0))
        .filter(session::Column::RevokedAt.is_null())
        .filter(session::Column::ExpiresAt.gt(now))
        .filter(session::Column::LastSeenAt.gt(now - IDLE))
        .order_by_desc(session::Column::Id)
        .limit(page.limit + 1);
    if let Some(after) = page.after {
        query = query.filter(session::Column::Id.lt(after.0));
    }
    query.all(tx.conn()).await?.into_iter().map(to_session).collect()
}

fn to_session(row: session::Model) -> Result<Session> {
    Ok(Session {
        id: SessionId(row.id),
        method: row.method.parse().map_err(|error: String| Error::internal(error))?,
        ip: row.ip,
        user_agent: row.user_agent,
        created_at: row.created_at,
        last_seen_at: row.last_seen_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
    })
}

/// Ends a session of a principal; false for one that is over, which stays as it is, and for none.
pub(super) async fn revoke_session(
    tx: &Tx<'_>,
    owner: PrincipalId,
    id: SessionId,
    now: Time,
) -> Result<bool> {
    let revoked = tx
        .update::<session::Entity>()
        .col_expr(session::Column::RevokedAt, Expr::value(now))
        .filter(session::Column::Id.eq(id.0))
        .filter(session::Column::PrincipalId.eq(owner.0))
        .filter(session::Column::RevokedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(revoked.rows_affected == 1)
}

/// A session of a principal.
pub(super) async fn session(tx: &Tx<'_>, owner: PrincipalId, id: SessionId) -> Result<Session> {
    let row = tx
        .find::<session::Entity>()
        .filter(session::Column::Id.eq(id.0))
        .filter(session::Column::PrincipalId.eq(owner.0))
        .one(tx.conn())
        .await?;
    to_session(row.ok_or_else(|| Error::not_found("session"))?)
}

/// Ends every session of a principal; gives how many that were.
pub(in crate::accounts) async fn revoke_sessions(tx: &Tx<'_>, owner: PrincipalId, now: Time) -> Result<u64> {
    let revoked = tx
        .update::<session::Entity>()
        .col_expr(session::Column::RevokedAt, Expr::value(now))
        .filter(session::Column::PrincipalId.eq(owner.0))
        .filter(session::Column::RevokedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(revoked.rows_affected)
}

/// Starts a person anew who may not belong anywhere yet; false for one who is forgotten by now.
pub(super) async fn restart_person(tx: &DoorTx<'_>, id: PersonId, now: Time) -> Result<bool> {
    let restarted = person::Entity::update_many()
        .col_expr(person::Column::CreatedAt, Expr::value(now))
        .filter(person::Column::Id.eq(id.0))
        .exec(tx.conn())
        .await?;
    Ok(restarted.rows_affected == 1)
}

/// Removes up to `limit` people of before `then` who never belonged to a tenant, and what issuers know of them; gives their
/// number.
pub(super) async fn forget_strangers(tx: &DoorTx<'_>, then: Time, limit: u64) -> Result<u64> {
    use person::{Column, Entity};
    let members = principal::Entity::find()
        .select_only()
        .column(principal::Column::PersonId)
        .filter(principal::Column::PersonId.is_not_null());
    let strangers = Condition::all()
        .add(Column::CreatedAt.lt(then))
        .add(Column::Id.not_in_subquery(members.into_query()));
    let forgotten = tx.delete_some::<Entity>(Column::Id, strangers, limit).await?;
    if forgotten > 0 {
        let people = Entity::find().select_only().column(Column::Id);
        identity::Entity::delete_many()
            .filter(identity::Column::PersonId.not_in_subquery(people.into_query()))
            .exec(tx.conn())
            .await?;
    }
    Ok(forgotten)
}

/// Removes up to `limit` sessions that ended before `then` at the latest, whoever they belong to; gives their number.
pub(super) async fn forget_sessions(tx: &DoorTx<'_>, then: Time, limit: u64) -> Result<u64> {
    use session::{Column, Entity};
    tx.delete_some::<Entity>(Column::Id, Column::ExpiresAt.lte(then), limit).await
}
