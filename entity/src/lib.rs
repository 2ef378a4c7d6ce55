//! Trackside's tables as SeaORM entities, one module per table.
//!
//! Only a slice's `store.rs` and the spine's `jobs.rs` use them; what leaves a store is a domain type.
//! The schema itself is made by the `migration` crate, which never imports this one.

pub mod agent;
pub mod agent_activity;
pub mod api_key;
pub mod artifact;
pub mod artifact_dependency;
pub mod artifact_revision;
pub mod audit_head;
pub mod audit_register;
pub mod authorization_code;
pub mod branch_file;
pub mod conflict;
pub mod document_touch;
pub mod event;
pub mod event_head;
pub mod gate;
pub mod idempotency_key;
pub mod identity;
pub mod instance;
pub mod invitation;
pub mod job;
pub mod mcp_audit_log;
pub mod oauth_client;
pub mod oauth_grant;
pub mod person;
pub mod principal;
pub mod project;
pub mod project_secret;
pub mod provider_token;
pub mod refresh_token;
pub mod rejected_delivery;
pub mod repository_scan;
pub mod reservation;
pub mod reservation_head;
pub mod reservation_path;
pub mod run;
pub mod security_event;
pub mod session;
pub mod signing_key;
pub mod stream_ticket;
pub mod tenant;
pub mod webhook_event;
pub mod work_comment;
pub mod work_dependency;
pub mod work_item;

/// A table whose rows belong to tenants: every query on it begins with the tenant.
pub trait TenantScoped: sea_orm::EntityTrait {
    /// The column that names the tenant.
    fn tenant_column() -> Self::Column;
}

macro_rules! tenant_scoped {
    ($($table:ident),*) => {$(
        impl TenantScoped for $table::Entity {
            fn tenant_column() -> Self::Column {
                $table::Column::TenantId
            }
        }
    )*};
}

tenant_scoped!(
    agent,
    agent_activity,
    api_key,
    artifact,
    artifact_dependency,
    artifact_revision,
    audit_head,
    audit_register,
    authorization_code,
    branch_file,
    conflict,
    document_touch,
    event,
    event_head,
    gate,
    idempotency_key,
    invitation,
    job,
    mcp_audit_log,
    oauth_grant,
    principal,
    project,
    project_secret,
    provider_token,
    refresh_token,
    rejected_delivery,
    repository_scan,
    reservation,
    reservation_head,
    reservation_path,
    run,
    security_event,
    session,
    stream_ticket,
    webhook_event,
    work_comment,
    work_dependency,
    work_item
);
