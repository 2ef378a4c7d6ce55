//! Things that a person names: by name, by id or, where there is only one, not at all.

use crate::error::{Error, Result};

/// What is chosen among.
pub(super) struct Choice<'a> {
    /// What the things are, such as `project`.
    pub(super) what: &'a str,
    /// How to name one on the command line, such as `--project`.
    pub(super) how: &'a str,
    /// How to make one, such as `trackside project create --name NAME`.
    pub(super) make: &'a str,
}

impl Choice<'_> {
    /// The one that `named` means, of things with an id and a name.
    ///
    /// # Errors
    /// None fits, or several do; the message lists what there is, with ids.
    pub(super) fn among<'t, T>(
        &self,
        things: &'t [T],
        named: Option<&str>,
        id_and_name: impl Fn(&T) -> (String, &str),
    ) -> Result<&'t T> {
        let Self { what, how, make } = self;
        let list = |things: &[&T]| {
            let lines = things.iter().map(|thing| {
                let (id, name) = id_and_name(thing);
                format!("\n  {id}  {name}")
            });
            lines.collect::<String>()
        };
        let fits = |thing: &&T| {
            let (id, name) = id_and_name(thing);
            named.is_none_or(|named| name == named || id.eq_ignore_ascii_case(named))
        };
        let all: Vec<&T> = things.iter().collect();
        let by_id = |thing: &&T| named.is_some_and(|named| id_and_name(thing).0.eq_ignore_ascii_case(named));
        let found = match things.iter().find(by_id) {
            Some(one) => vec![one],
            None => things.iter().filter(fits).collect(),
        };
        match (found.as_slice(), named) {
            ([only], _) => Ok(only),
            ([], None) => Err(Error::invalid(format!("there is no {what} yet; make one with: {make}"))),
            ([], Some(named)) if all.is_empty() => Err(Error::invalid(format!(
                "there is no {what} `{named}`, and no other; make one with: {make}"
            ))),
            ([], Some(named)) => {
                Err(Error::invalid(format!("there is no {what} `{named}`; there are:{}", list(&all))))
            }
            (several, None) => Err(Error::invalid(format!(
                "there is more than one {what}; name one with {how}, by name or id:{}",
                list(several)
            ))),
            (several, Some(named)) => {
                let count = several.len();
                Err(Error::invalid(format!("{count} are called `{named}`; give the id:{}", list(several))))
            }
        }
    }
}
