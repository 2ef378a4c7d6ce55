//! Quality gates: what quality assurance decided, why, and until when.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat};
use serde::{Deserialize, Serialize};

use super::{
    fields::{self, Fields},
    text::{self, CREATED_BY_CHARS, REASON_CHARS},
    warnings::Warnings,
    yaml::Node,
};
use crate::wire::wire_enum;

/// How many reasons are kept.
const MOST_REASONS: usize = 50;

/// What quality assurance decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// The decision.
    pub decision: Decision,
    /// Who made it.
    pub reviewer: Option<String>,
    /// Why.
    pub reasons: Vec<String>,
    /// Why it may be passed all the same.
    pub waiver: Option<Waiver>,
    /// Until when it holds: a date (`2026-12-31`) or a time (RFC 3339, UTC).
    pub expires: Option<String>,
}

wire_enum! {
    /// The decision of a gate.
    Decision {
        /// All is well.
        Pass = "pass",
        /// It may go on, with concerns.
        Concerns = "concerns",
        /// It must not go on.
        Fail = "fail",
        /// It would not go on, but somebody answers for it.
        Waived = "waived",
    }
}

/// Why a gate may be passed all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiver {
    /// Whether it is in force.
    pub active: bool,
    /// Why.
    pub reason: Option<String>,
    /// Who answers for it.
    pub approved_by: Option<String>,
}

/// The gate among a document's fields, if there is one.
pub(super) fn read(fields: &Fields<'_>, warnings: &mut Warnings) -> Option<Gate> {
    let (_, word) = fields.find(&["gate"])?;
    let decision = decision(word, warnings)?;
    Some(Gate {
        decision,
        reviewer: fields.text(&["reviewer"], CREATED_BY_CHARS, warnings),
        reasons: reasons(fields, warnings),
        waiver: waiver(fields, decision, warnings),
        expires: expires(fields, warnings),
    })
}

fn decision(word: &Node, warnings: &mut Warnings) -> Option<Decision> {
    let text = match word {
        Node::Text(text) | Node::Number(text) => text.trim(),
        _ => "",
    };
    let decision = text.parse().ok();
    if decision.is_none() {
        let shown = text::shortened(text, 40);
        warnings.push(format!("gate: `{shown}` is not one of PASS, CONCERNS, FAIL, WAIVED"));
    }
    decision
}

/// From `reasons`, else the reason of the status, else the issues that were found.
fn reasons(fields: &Fields<'_>, warnings: &mut Warnings) -> Vec<String> {
    let value = fields.find(&["reasons", "status_reason", "statusReason"]);
    let reasons: Vec<_> = match value {
        Some((name, Node::List(list))) => {
            list.iter().filter_map(|reason| fields::text_of(name, reason, REASON_CHARS, warnings)).collect()
        }
        Some((name, text)) => fields::text_of(name, text, REASON_CHARS, warnings).into_iter().collect(),
        None => issues(fields, warnings),
    };
    reasons.into_iter().take(MOST_REASONS).collect()
}

/// What each of the top issues is, and in brackets what to do about it.
fn issues(fields: &Fields<'_>, warnings: &mut Warnings) -> Vec<String> {
    let list = match fields.find(&["top_issues", "topIssues"]) {
        Some((_, Node::List(list))) => list,
        Some(_) => {
            warnings.push("top_issues: expected a list");
            return Vec::new();
        }
        None => return Vec::new(),
    };
    let mut issue = |issue: &Node| {
        let Node::Map(pairs) = issue else {
            return fields::text_of("top_issues", issue, REASON_CHARS, warnings);
        };
        let mut part = |name| {
            fields::find(pairs, &[name])
                .and_then(|(name, value)| fields::text_of(name, value, REASON_CHARS, warnings))
        };
        match (part("finding"), part("suggested_action")) {
            (Some(finding), Some(action)) => {
                Some(text::cleaned(&format!("{finding} ({action})"), REASON_CHARS))
            }
            (finding, action) => finding.or(action),
        }
    };
    list.iter().filter_map(&mut issue).collect()
}

/// A mapping, or a text that says why. One that does not say whether it is active is so if the gate is waived.
fn waiver(fields: &Fields<'_>, decision: Decision, warnings: &mut Warnings) -> Option<Waiver> {
    let (name, value) = fields.find(&["waiver"])?;
    let pairs = match value {
        Node::Map(pairs) => pairs,
        Node::Bool(active) => return Some(Waiver { active: *active, reason: None, approved_by: None }),
        other => {
            let reason = fields::text_of(name, other, REASON_CHARS, warnings)?;
            return Some(Waiver { active: true, reason: Some(reason), approved_by: None });
        }
    };
    let active = match fields::find(pairs, &["active"]) {
        Some((_, Node::Bool(active))) => *active,
        Some(_) => {
            warnings.push("waiver.active: expected true or false");
            false
        }
        None => decision == Decision::Waived,
    };
    let mut part = |name: &str, most| {
        fields::find(pairs, &[name])
            .and_then(|(_, value)| fields::text_of(&format!("waiver.{name}"), value, most, warnings))
    };
    let (reason, approved_by) = (part("reason", REASON_CHARS), part("approved_by", CREATED_BY_CHARS));
    Some(Waiver { active, reason, approved_by })
}

fn expires(fields: &Fields<'_>, warnings: &mut Warnings) -> Option<String> {
    let names = ["expires", "expiry"];
    let (_, value) = fields.find(&names).or_else(|| match fields.find(&["waiver"])?.1 {
        Node::Map(pairs) => fields::find(pairs, &names),
        _ => None,
    })?;
    let text = match value {
        Node::Text(text) => text.trim(),
        _ => "",
    };
    let moment = moment(text);
    if moment.is_none() {
        warnings.push("expires: expected a date (`2026-12-31`) or a time (RFC 3339)");
    }
    moment
}

/// A date as it is, a time in UTC; of years with four digits.
fn moment(text: &str) -> Option<String> {
    let is_usual = |year| (0..=9999).contains(&year);
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return is_usual(date.year()).then(|| date.format("%Y-%m-%d").to_string());
    }
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    is_usual(time.year()).then(|| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use super::super::{Document, read};
    use super::*;

    fn document(text: &str) -> Document {
        read("docs/qa/gates/1.3-sign-in.yml", text.as_bytes())
    }

    fn gate(text: &str) -> Gate {
        let document = document(text);
        assert_eq!(document.warnings, [""; 0], "{text}");
        document.gate.expect("a gate")
    }

    #[test]
    fn a_gate_file_of_bmad_is_read_whole() {
        let document = document(
            r#"schema: 1
story: "1.3"
story_title: "Sign in with a passkey"
gate: CONCERNS
status_reason: "The lockout after five attempts is not tested."
reviewer: "Quinn (Test Architect)"
updated: "2026-03-04T09:00:00Z"
top_issues:
  - id: TEST-001
    severity: medium
    finding: "No test of the lockout"
    suggested_action: "Add one"
waiver: { active: false }
quality_score: 80
expires: "2026-03-18T11:00:00+02:00"
"#,
        );
        assert_eq!((document.title.as_deref(), document.version), (Some("Sign in with a passkey"), None));
        assert_eq!((document.sections, document.warnings), (vec![], vec![]));
        let expected = Gate {
            decision: Decision::Concerns,
            reviewer: Some("Quinn (Test Architect)".to_owned()),
            reasons: vec!["The lockout after five attempts is not tested.".to_owned()],
            waiver: Some(Waiver { active: false, reason: None, approved_by: None }),
            expires: Some("2026-03-18T09:00:00Z".to_owned()),
        };
        assert_eq!(document.gate, Some(expected));
    }

    #[test]
    fn a_decision_is_read_in_any_case_and_written_in_lower() {
        for (word, wire) in [
            ("PASS", "\"pass\""),
            ("Concerns", "\"concerns\""),
            ("fail", "\"fail\""),
            ("WaiVed", "\"waived\""),
        ] {
            for key in ["gate", "GATE", "Gate"] {
                let gate = gate(&format!("{key}: {word}"));
                assert_eq!(serde_json::to_string(&gate.decision).expect("JSON"), wire);
            }
        }
    }

    #[test]
    fn an_unknown_decision_is_a_warning_and_no_gate() {
        for word in ["MAYBE", "[PASS]", "true", "3"] {
            let document = document(&format!("gate: {word}\ntitle: Kept"));
            assert_eq!((document.gate, document.title.as_deref()), (None, Some("Kept")), "{word}");
            assert!(document.warnings[0].starts_with("gate: "), "{:?}", document.warnings);
        }
    }

    #[test]
    fn a_gate_in_front_matter_counts() {
        let document = read("docs/qa/1.1.md", b"---\ngate: FAIL\nreviewer: Quinn\n---\n# Review\n");
        assert_eq!(document.gate.map(|gate| gate.decision), Some(Decision::Fail));
    }

    #[test]
    fn reasons_come_from_the_first_place_that_has_some() {
        for (fields, expected) in [
            ("reasons: [a, b]\nstatus_reason: c", &["a", "b"][..]),
            ("reasons: a", &["a"]),
            ("statusReason: c\ntop_issues: [{finding: d}]", &["c"]),
            (
                "top_issues: [{finding: d, suggested_action: e}, {suggested_action: f}, g, {}]",
                &["d (e)", "f", "g"],
            ),
            ("top_issues: []", &[]),
        ] {
            assert_eq!(gate(&format!("gate: FAIL\n{fields}")).reasons, expected, "{fields}");
        }
    }

    #[test]
    fn a_waiver_is_a_mapping_or_a_text() {
        let waiver = |fields: &str| gate(&format!("gate: WAIVED\n{fields}")).waiver;
        let full = waiver("waiver: {active: true, reason: Demo, approved_by: Ada}");
        assert_eq!(full, waiver("waiver: {reason: Demo, approvedBy: Ada}"));
        let expected =
            Waiver { active: true, reason: Some("Demo".to_owned()), approved_by: Some("Ada".to_owned()) };
        assert_eq!(full, Some(expected));
        let text = Waiver { active: true, reason: Some("Demo".to_owned()), approved_by: None };
        assert_eq!(waiver("waiver: Demo"), Some(text));
        assert_eq!(waiver("waiver:"), None);
        let doubtful = document("gate: PASS\nwaiver: {active: maybe}");
        assert_eq!(doubtful.warnings, ["waiver.active: expected true or false"]);
        assert!(doubtful.gate.and_then(|gate| gate.waiver).is_some_and(|waiver| !waiver.active));
    }

    #[test]
    fn an_expiry_is_a_date_or_a_time() {
        for (field, expected) in [
            ("expires: 2026-12-31", "2026-12-31"),
            ("expiry: '2026-12-31'", "2026-12-31"),
            ("waiver: {active: true, expires: 2026-12-31}", "2026-12-31"),
            ("expires: 2026-12-31T23:30:00-02:00", "2027-01-01T01:30:00Z"),
            ("expires: 2026-12-31T10:00:00.250Z", "2026-12-31T10:00:00.250Z"),
        ] {
            let found = gate(&format!("gate: PASS\n{field}")).expires;
            assert_eq!(found.as_deref(), Some(expected), "{field}");
        }
        for value in
            ["soon", "2026-02-30", "20261231", "[2026-12-31]", "+12026-01-01", "0000-01-01T00:00:00+10:00"]
        {
            let document = document(&format!("gate: PASS\nexpires: {value}"));
            assert_eq!(document.gate.expect("a gate").expires, None, "{value}");
            assert!(document.warnings[0].starts_with("expires: "), "{value}");
        }
    }
}
