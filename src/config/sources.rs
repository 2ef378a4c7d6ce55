//! Where settings come from: flags, the environment, a file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{BadSettings, SETTINGS};

/// Where settings are looked up, strongest first.
#[derive(Default)]
pub struct Sources {
    /// Command-line flags, by setting name.
    pub flags: BTreeMap<&'static str, String>,
    /// The process's environment.
    pub environment: BTreeMap<String, String>,
    /// The text of `trackside.toml` and where it was found.
    pub file: Option<(PathBuf, String)>,
}

impl Sources {
    /// Flags, the real environment, and the file that `path` names or, without one, `trackside.toml` if it is there.
    ///
    /// # Errors
    /// A file that was named and cannot be read.
    pub fn from_process(
        flags: BTreeMap<&'static str, String>,
        path: Option<&Path>,
    ) -> Result<Self, BadSettings> {
        let file = match path {
            Some(path) => Some(path.to_owned()),
            None => Some(PathBuf::from("trackside.toml")).filter(|path| path.exists()),
        };
        let file = file
            .map(|path| match std::fs::read_to_string(&path) {
                Ok(text) => Ok((path, text)),
                Err(error) => Err(BadSettings(vec![format!("{} cannot be read: {error}", path.display())])),
            })
            .transpose()?;
        Ok(Self { flags, environment: std::env::vars().collect(), file })
    }
}

/// Variables with our prefix that commands read themselves.
const COMMANDS_OWN: [&str; 2] = ["TRACKSIDE_API_KEY", "TRACKSIDE_WEBHOOK_SECRET"];

impl Sources {
    /// Variables with our prefix that mean nothing, each with the name that was probably meant.
    pub fn unknown(&self) -> Vec<String> {
        let mut known: Vec<String> = COMMANDS_OWN.map(str::to_owned).into();
        for setting in SETTINGS {
            known.push(setting.name.to_owned());
            known.extend(setting.secret.then(|| format!("{}_FILE", setting.name)));
        }
        let ours = self.environment.keys().filter(|name| name.starts_with("TRACKSIDE_"));
        ours.filter(|name| !known.contains(name))
            .map(|name| {
                let nearest =
                    known.iter().min_by_key(|known| distance(name, known)).map_or("", String::as_str);
                format!("{name} is not a setting and changes nothing; did you mean {nearest}?")
            })
            .collect()
    }
}

/// How many letters have to be added, left out or changed to make one word of another (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, a) in one.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = line + 1;
        for (column, b) in other.bytes().enumerate() {
            let change = corner + usize::from(a != b);
            corner = row[column + 1];
            row[column + 1] = change.min(corner + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
