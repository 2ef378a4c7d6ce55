//! Values of flags that say what they expect when they are wrong.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use crate::{
    accounts::{Level, PrincipalId, invitation::InvitationId, signin::Email},
    projects::ProjectId,
};

/// A time, or a day, which begins at midnight UTC.
pub(super) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    time.or_else(|_| day()).map_err(|_| {
        "expected a day such as 2030-01-31, or a time with its zone such as 2030-01-31T18:00:00Z".to_owned()
    })
}

/// A project, by its id.
pub(super) fn project(text: &str) -> Result<ProjectId, String> {
    text.trim().parse().map_err(|_| {
        "expected ids with commas between them, such as 01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c; \
         `trackside project list` shows them"
            .to_owned()
    })
}

/// A principal, by its id.
pub(super) fn principal(text: &str) -> Result<PrincipalId, String> {
    let why =
        "expected an id such as 01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c; `trackside principal list` shows them";
    text.trim().parse().map_err(|_| why.to_owned())
}

/// An invitation, by its id.
pub(super) fn invitation(text: &str) -> Result<InvitationId, String> {
    let why =
        "expected an id such as 01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c; `trackside invitation list` shows them";
    text.trim().parse().map_err(|_| why.to_owned())
}

/// A project that somebody is to be limited to, by its id, with their level there behind it if they may only look.
pub(super) fn limit(text: &str) -> Result<(ProjectId, Level), String> {
    let (id, level) = text.split_once('=').unwrap_or((text, Level::Editor.as_str()));
    Ok((project(id)?, level.trim().parse()?))
}

/// An e-mail address.
pub(super) fn email(text: &str) -> Result<Email, String> {
    Email::parse("", text).map_err(|error| error.field_details())
}

/// The flag for a field of a request: `--repo-url` for `/repoUrl`.
pub(super) fn flag(pointer: &str) -> String {
    if matches!(pointer, "/projectIds" | "/projectAccess") {
        return "--projects".to_owned();
    }
    let mut flag = "--".to_owned();
    for c in pointer.trim_start_matches('/').chars() {
        match c {
            '/' => flag.push('-'),
            c if c.is_ascii_uppercase() => flag.extend(['-', c.to_ascii_lowercase()]),
            c => flag.push(c),
        }
    }
    flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_time_too() {
        assert_eq!(time("2030-01-31"), time("2030-01-31T00:00:00Z"));
        assert_eq!(time("2030-01-31T01:00:00+01:00"), time("2030-01-31"));
        assert!(time("soon").expect_err("no time").contains("2030-01-31"));
    }

    #[test]
    fn a_field_is_known_by_its_flag() {
        assert_eq!(flag("/repoUrl"), "--repo-url");
        assert_eq!(flag("/name"), "--name");
        assert_eq!((&*flag("/projectIds"), &*flag("/projectAccess")), ("--projects", "--projects"));
    }

    #[test]
    fn a_limit_is_a_project_and_a_level() {
        let id = "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c";
        let level = |behind: &str| limit(&format!("{id}{behind}")).map(|(_, level)| level);
        assert_eq!((level(""), level("=editor")), (Ok(Level::Editor), Ok(Level::Editor)));
        assert_eq!(level("=viewer"), Ok(Level::Viewer));
        assert!(level("=owner").expect_err("no level").contains("viewer"));
        assert!(limit("rocket").expect_err("no id").contains("trackside project list"));
    }
}
