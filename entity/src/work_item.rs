//! Something to do, and who holds it.

use sea_orm::entity::prelude::*;

/// One row of `work_item`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "work_item")]
pub struct Model {
    /// UUIDv7: later ones are greater.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project it is in.
    pub project_id: Uuid,
    /// What is to be done, on one line.
    pub title: String,
    /// The same at length.
    pub description: Option<String>,
    /// The lane it is in.
    pub lane: String,
    /// Its place in the lane: smaller ones come first.
    pub rank: i64,
    /// 0 is the most urgent.
    pub urgency: i32,
    /// Which agents it is for, by the name of their role; none means any.
    pub role: Option<String>,
    /// The document that it is one thing with.
    pub artifact_id: Option<Uuid>,
    /// The status that this document stated when it was last looked at.
    pub file_status: Option<String>,
    /// How many items it waits for.
    pub blockers: i32,
    /// Grows by one with every change but signs of life.
    pub version: i64,
    /// The principal that made it; none if a document did.
    pub creator_id: Option<Uuid>,
    /// The name which that had then.
    pub creator_name: String,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it was last changed.
    pub updated_at: DateTimeUtc,
    /// When it was done.
    pub finished_at: Option<DateTimeUtc>,
    /// The commit that did it.
    pub commit: Option<String>,
    /// What was done, in the words of who did it.
    pub summary: Option<String>,
    /// Grows by one with every claim.
    pub fence: i64,
    /// The claim that holds it; none if nobody does, and then all that follows but `lease_seconds` is none.
    pub lease_id: Option<Uuid>,
    /// Who holds it.
    pub holder_id: Option<Uuid>,
    /// The name which that had then.
    pub holder_name: Option<String>,
    /// What the holder came with.
    pub credential: Option<String>,
    /// Since when it is held.
    pub claimed_at: Option<DateTimeUtc>,
    /// Until when, without another sign of life.
    pub expires_at: Option<DateTimeUtc>,
    /// For how long each sign of life holds it.
    pub lease_seconds: i32,
    /// The last sign of life.
    pub seen_at: Option<DateTimeUtc>,
    /// What that was.
    pub seen_by: Option<String>,
    /// What the holder is doing, in its words.
    pub task: Option<String>,
    /// The branch on which the holder works.
    pub branch: Option<String>,
    /// Who claimed it last, also when that claim has ended.
    pub worker_id: Option<Uuid>,
    /// JSON of the digests of the document's sections at the time of the claim, by anchor.
    pub pins: Option<Json>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
