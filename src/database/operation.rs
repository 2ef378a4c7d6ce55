//! Operations: what runs in a transaction, as queues and tasks hold it, without the types of what it is and gives.
//!
//! Whoever writes gives a closure and waits for its value. In between there is one kind of operation for all of them, so
//! that what carries operations out is compiled once, and not for each closure there is.

use std::panic::AssertUnwindSafe;

use futures::{FutureExt as _, future::BoxFuture};
use sea_orm::DatabaseTransaction;
use tokio::sync::oneshot;

use super::{
    TenantId,
    tx::{AfterCommit, Batch, DoorTx, Tx},
};
use crate::error::{Error, Result};

/// Called with the outcome of the commit.
pub(super) type Answer = Box<dyn FnOnce(Result<()>) + Send>;
/// Runs an operation in a transaction, if one could begin; gives back whom to answer after the commit, or has
/// answered already.
pub(super) type Operation =
    Box<dyn for<'t> FnOnce(Result<&'t DatabaseTransaction>) -> BoxFuture<'t, Option<Answer>> + Send>;

/// What somebody writes within a tenant, through a door, or as a batch.
pub(super) type Write<T> = Box<dyn for<'t> FnOnce(&'t Tx<'t>) -> BoxFuture<'t, Result<T>> + Send>;
pub(super) type WriteThrough<T> = Box<dyn for<'t> FnOnce(&'t DoorTx<'t>) -> BoxFuture<'t, Result<T>> + Send>;
pub(super) type WriteBatch<T> = Box<dyn for<'t> FnOnce(Batch<'t>) -> BoxFuture<'t, Result<T>> + Send>;

/// What an operation does in its transaction: gives its value, and what is to be signalled after the commit.
pub(super) type Part<T> =
    Box<dyn for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<(T, Vec<AfterCommit>)>> + Send>;

pub(super) fn part_of<T: Send + 'static>(tenant: TenantId, write: Write<T>) -> Part<T> {
    Box::new(move |conn| {
        Box::pin(async move {
            let tx = Tx::new(conn, tenant);
            let value = write(&tx).await?;
            Ok((value, tx.into_signals()))
        })
    })
}

pub(super) fn part_through<T: Send + 'static>(write: WriteThrough<T>) -> Part<T> {
    Box::new(move |conn| Box::pin(async move { Ok((write(&DoorTx { conn }).await?, Vec::new())) }))
}

pub(super) fn part_of_batch<T: Send + 'static>(write: WriteBatch<T>) -> Part<T> {
    Box::new(move |conn| Box::pin(async move { Ok((write(Batch { conn }).await?, Vec::new())) }))
}

/// An operation, and where its value comes out.
pub(super) fn operation<T: Send + 'static>(part: Part<T>) -> (Operation, oneshot::Receiver<Result<T>>) {
    let (answer, answered) = oneshot::channel();
    let operation: Operation = Box::new(move |conn| {
        Box::pin(async move {
            let outcome = match conn {
                Ok(conn) => AssertUnwindSafe(part(conn)).catch_unwind().await.unwrap_or_else(|_| {
                    Err(Error::internal("a write panicked; its panic message is above in the log"))
                }),
                Err(error) => Err(error),
            };
            match outcome {
                Ok((value, signals)) => Some(Box::new(move |commit: Result<()>| {
                    if commit.is_ok() {
                        signals.into_iter().for_each(|signal| signal());
                    }
                    let _ = answer.send(commit.map(|()| value));
                }) as Answer),
                Err(error) => {
                    let _ = answer.send(Err(error));
                    None
                }
            }
        })
    });
    (operation, answered)
}
