//! The log as a list: from its first event on or from its newest back, all of it or events of some names.
//!
//! A page is a range of positions, which the log's own order finds at once, both ways. Names have no index: a page that
//! asks for some looks at no more than [`SCANNED`] events, and leads on from there. So it may hold fewer rows than asked
//! for, or none, and still not be the last.

use super::{Event, EventName, Head, Position, head, store};
use crate::{
    accounts::Principal,
    app::App,
    error::{Error, Result},
    projects,
    wire::{Page, ProjectId, wire_enum},
};

/// Events that one page looks at, where only those of some names are meant.
const SCANNED: i64 = 5_000;

wire_enum! {
    /// Which way a log is read.
    EventOrder {
        /// Oldest first.
        Asc = "asc",
        /// Newest first.
        Desc = "desc",
    }
}

/// Which events are meant.
#[derive(Clone, Debug)]
pub struct EventFilter {
    /// Only events behind this place, whichever way they are read.
    pub after: Option<Position>,
    /// Only events of these names; none means all.
    pub names: Vec<EventName>,
    /// Which way they are read.
    pub order: EventOrder,
}

/// A page of a project's log, and the position behind which the next one begins, if there is one. With a page's limit
/// comes one row more at most.
///
/// # Errors
/// `not_found` for a project out of reach, `invalid_request` for a position that the log does not have.
pub async fn list_events(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    filter: EventFilter,
    page: Page<i64>,
) -> Result<(Vec<Event>, Option<i64>)> {
    projects::reach(app, principal, project).await?;
    app.database
        .read(principal.tenant, move |tx| {
            Box::pin(async move {
                let head = head(tx, project).await?;
                let after = place(filter.after, head, "/after")?;
                let cursor = match page.after {
                    Some(position) => Some(place(Some(Position::At(position)), head, "/cursor")?),
                    None => None,
                };
                let most = if filter.names.is_empty() { i64::MAX } else { SCANNED };
                let range = Range::of(head.position, after, cursor, filter.order, most);
                let mut events =
                    store::events_between(tx, project, head.log, range, &filter, page.limit + 1).await?;
                if events.len() as u64 > page.limit {
                    events.pop();
                    let last = events.last().map(|event| event.id.position);
                    return Ok((events, last));
                }
                Ok((events, range.next))
            })
        })
        .await
}

/// The position that is meant, if the log has it; its beginning for none.
fn place(position: Option<Position>, head: Head, pointer: &str) -> Result<i64> {
    position.unwrap_or(Position::At(0)).within(head).ok_or_else(|| {
        let why = "this log does not have that position; leave it out to read from the first event";
        Error::invalid_field(pointer, why)
    })
}

/// Positions that one page looks at: those between two that it does not look at itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) after: i64,
    pub(super) before: i64,
    /// The position that the next page begins behind, if this one does not reach the end.
    next: Option<i64>,
}

impl Range {
    /// The range of a page that goes on behind `cursor`, of a log up to `head`; at most `most` positions.
    fn of(head: i64, after: i64, cursor: Option<i64>, order: EventOrder, most: i64) -> Self {
        match order {
            EventOrder::Asc => {
                let after = cursor.map_or(after, |cursor| cursor.max(after));
                let before = after.saturating_add(most).saturating_add(1).min(head.saturating_add(1));
                Self { after, before, next: (before <= head).then(|| before - 1) }
            }
            EventOrder::Desc => {
                let before = cursor.unwrap_or(i64::MAX).min(head.saturating_add(1));
                let least = before.saturating_sub(most).saturating_sub(1).max(after);
                Self { after: least, before, next: (least > after).then(|| least + 1) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order() -> impl Strategy<Value = EventOrder> {
        prop_oneof![Just(EventOrder::Asc), Just(EventOrder::Desc)]
    }

    proptest! {
        #[test]
        fn page_by_page_every_position_is_looked_at_once_and_in_order(
            head in 0..60i64,
            after in 0..60i64,
            order in order(),
            most in prop_oneof![1..20i64, Just(i64::MAX)],
        ) {
            let after = after.min(head);
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let range = Range::of(head, after, cursor, order, most);
                let mut looked_at: Vec<_> = (range.after + 1..range.before).collect();
                prop_assert!(looked_at.len() as i64 <= most);
                if order == EventOrder::Desc {
                    looked_at.reverse();
                }
                seen.extend(looked_at);
                cursor = range.next;
                if cursor.is_none() {
                    break;
                }
            }
            let mut expected: Vec<_> = (after + 1..=head).collect();
            if order == EventOrder::Desc {
                expected.reverse();
            }
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn a_cursor_that_nobody_was_given_does_no_harm() {
        for order in [EventOrder::Asc, EventOrder::Desc] {
            for cursor in [i64::MIN, -1, i64::MAX] {
                let range = Range::of(9, 0, Some(cursor), order, SCANNED);
                assert!(range.next.is_none_or(|next| (0..=9).contains(&next)), "{range:?}");
            }
        }
    }
}
