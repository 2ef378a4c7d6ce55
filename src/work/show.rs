//! What is answered to whoever claims, holds or gives back an item.

use serde_json::{Value, json};

use super::{WorkItem, claims::Granted, context::Pack, lease::Lease};
use crate::{
    error::{Error, Result},
    gates::keeper,
    wire::Timestamp,
};

/// Characters of a description or comment that are told; the item has the rest.
const TEXT: usize = 4_000;
/// Sections of a document that are told.
const SECTIONS: usize = 100;

type Answered = Vec<(&'static str, Value)>;

fn lease(granted: &Granted) -> Result<&Lease> {
    granted.item.claim.lease.as_ref().ok_or_else(|| Error::internal("a claim without a lease"))
}

/// That it is held, by which claim, and until when.
pub(super) fn held(granted: &Granted) -> Result<Answered> {
    let (item, lease) = (&granted.item, lease(granted)?);
    let mut answer = vec![
        ("workItemId", json!(item.id.0)),
        ("leaseId", json!(lease.id.0)),
        ("fencingToken", item.claim.fence.into()),
        ("expiresAt", Timestamp(lease.expires_at).to_string().into()),
        ("lane", json!(item.lane)),
        ("version", item.version.into()),
    ];
    answer.extend(warning(&granted.item, &granted.changed_sections));
    Ok(answer)
}

/// That what its holder builds on is not what it was at the time of the claim.
pub(super) fn warning(item: &WorkItem, changed: &[String]) -> Option<(&'static str, Value)> {
    let detail = match &item.claim.lease {
        Some(_) => {
            "the document has changed since you claimed this: read these sections with get_artifact, then update_work \
             with hasRead"
        }
        None => {
            "the document has changed since you claimed this: read these sections with get_artifact, and see whether what \
             you did still fits"
        }
    };
    let sections: Vec<_> = changed.iter().take(SECTIONS).collect();
    let artifact = item.artifact.map(|artifact| artifact.0);
    let told =
        json!({"detail": detail, "workItemId": item.id.0, "artifactId": artifact, "sections": sections});
    (!changed.is_empty()).then_some(("warning", told))
}

/// The same, and what to know before beginning.
pub(super) fn claim(granted: &Granted) -> Result<Answered> {
    let item = &granted.item;
    let mut answer = held(granted)?;
    let shown = json!({
        "title": item.title,
        "description": item.description.as_deref().map(cut),
        "priority": item.priority,
        "role": item.role,
        "status": item.file_status,
    });
    answer.push(("item", shown));
    answer.extend(granted.pack.as_ref().map(|pack| ("context", context(pack))));
    Ok(answer)
}

/// That nobody holds it any more.
pub(super) fn freed(granted: &Granted) -> Answered {
    let item = &granted.item;
    let answer = [
        ("workItemId", json!(item.id.0)),
        ("lane", json!(item.lane)),
        ("commit", item.commit.clone().into()),
        ("version", item.version.into()),
    ];
    answer.into_iter().chain(warning(item, &granted.changed_sections)).collect()
}

/// What to know before beginning, as agents and programs are told.
pub(super) fn context(pack: &Pack) -> Value {
    let document = pack.document.as_ref().map(|document| {
        let sections = document.sections.iter().take(SECTIONS);
        let depends = document.dependencies.iter().map(|on| json!({"path": on.path, "version": on.version}));
        json!({
            "artifactId": document.id.0,
            "path": document.path,
            "title": document.title,
            "version": document.version,
            "status": document.status,
            "sections": sections.map(|it| json!([it.anchor, it.hash])).collect::<Vec<_>>(),
            "dependencies": depends.collect::<Vec<_>>(),
            "gate": document.gate.as_ref().map(|gate| gate.decision),
        })
    });
    let conflicts = pack.conflicts.iter().map(|conflict| {
        json!({"conflictId": conflict.id.0, "severity": conflict.severity, "message": conflict.message()})
    });
    let comments = pack.comments.iter().map(|comment| {
        json!({"by": comment.author_name, "at": Timestamp(comment.at).to_string(), "text": cut(&comment.text)})
    });
    let near = pack.near.iter().map(|near| {
        json!({"workItemId": near.item.0, "title": near.title, "holder": near.holder_name, "branch": near.branch})
    });
    json!({
        "document": document,
        "conflicts": conflicts.collect::<Vec<_>>(),
        "comments": comments.collect::<Vec<_>>(),
        "gates": keeper::told(&pack.gates),
        "near": near.collect::<Vec<_>>(),
    })
}

/// The beginning of a text, on as many lines as it has.
fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
