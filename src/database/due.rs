//! Rows that are to be looked after, whoever they belong to: found through a door, some at a time.

use sea_orm::{
    Condition, EntityTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, prelude::*,
};

use super::{DoorTx, TenantId};
use crate::{clock::Time, error::Result, wire::ProjectId};

/// Rows that are looked at in one go.
pub const BATCH: u64 = 200;

/// A row of some project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// The project it is in.
    pub project: ProjectId,
    /// Its id.
    pub id: Uuid,
}

/// A row whose time has come.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// When that was.
    pub at: Time,
    /// The row.
    pub place: Place,
}

/// In which columns of a table its rows say where they are.
#[derive(Clone, Copy, Debug)]
pub struct PlaceColumns<C> {
    /// The tenant.
    pub tenant: C,
    /// The project.
    pub project: C,
    /// The id.
    pub id: C,
}

impl DoorTx<'_> {
    /// Some rows of a query whose time, `at`, has come, behind one of them: the longest due first.
    ///
    /// # Errors
    /// The database's.
    pub async fn due<E: EntityTrait>(
        &self,
        query: Select<E>,
        at: E::Column,
        PlaceColumns { tenant, project, id }: PlaceColumns<E::Column>,
        now: Time,
        behind: Option<Due>,
    ) -> Result<Vec<Due>> {
        let mut query = query.filter(at.lte(now));
        if let Some(last) = behind {
            let beside = Condition::all().add(at.eq(last.at)).add(id.gt(last.place.id));
            query = query.filter(Condition::any().add(at.gt(last.at)).add(beside));
        }
        let rows: Vec<(Time, Uuid, Uuid, Uuid)> = query
            .order_by_asc(at)
            .order_by_asc(id)
            .select_only()
            .columns([at, tenant, project, id])
            .limit(BATCH)
            .into_tuple()
            .all(self.conn())
            .await?;
        let due = |(at, tenant, project, id)| Due { at, place: place((tenant, project, id)) };
        Ok(rows.into_iter().map(due).collect())
    }

    /// Where the rows of a query are.
    ///
    /// # Errors
    /// The database's.
    pub async fn places<E: EntityTrait>(
        &self,
        query: Select<E>,
        PlaceColumns { tenant, project, id }: PlaceColumns<E::Column>,
    ) -> Result<Vec<Place>> {
        let rows: Vec<(Uuid, Uuid, Uuid)> =
            query.select_only().columns([tenant, project, id]).into_tuple().all(self.conn()).await?;
        Ok(rows.into_iter().map(place).collect())
    }

    /// Some of the texts that the rows of a query have in a column, each once, behind one of them in their order.
    ///
    /// # Errors
    /// The database's.
    pub async fn texts<E: EntityTrait>(
        &self,
        query: Select<E>,
        column: E::Column,
        behind: Option<String>,
    ) -> Result<Vec<String>> {
        let behind = Condition::all().add_option(behind.map(|behind| column.gt(behind)));
        let query = query.filter(column.is_not_null()).filter(behind).order_by_asc(column);
        let texts = query.select_only().column(column).distinct().limit(BATCH);
        Ok(texts.into_tuple().all(self.conn()).await?)
    }
}

fn place((tenant, project, id): (Uuid, Uuid, Uuid)) -> Place {
    Place { tenant: TenantId(tenant), project: ProjectId(project), id }
}
