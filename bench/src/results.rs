//! `bench/RESULTS.md`: what every question comes down to, and then each of them with all its figures, out of the answers
//! that are kept.

use std::{fmt::Write as _, path::Path};

use crate::{
    Result,
    answer::{Answer, Comparison},
    question::TITLES,
};

/// Writes the report and its pictures anew.
pub(crate) fn render() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut answers = Vec::new();
    for (name, title) in TITLES {
        if let Some(answer) = Answer::kept(name)? {
            for chart in &answer.charts {
                chart.draw(&folder.join("plots"))?;
            }
            answers.push((name, title, answer));
        }
    }
    Ok(std::fs::write(folder.join("RESULTS.md"), text(&answers)?)?)
}

fn text(answers: &[(&str, &str, Answer)]) -> Result<String> {
    let mut text = String::from(
        "\
# Results

Made by `cargo run --release -p bench -- all`, and by the commands that take longer; each part says when, from which
sources, and on what machine. What is measured beside something else took turns with it in one run, after a round that is
not counted. Figures are medians over the rounds, ranges in brackets; ratios are taken within a round. The load generator
and all servers share the machine.

| | Beside | | Aim | |
|---|---|---|---|---|
",
    );
    for (_, title, answer) in answers {
        writeln!(text, "| **[{title}](#{})** | | | | |", anchor(title))?;
        for comparison in &answer.comparisons {
            let Comparison { what, beside, .. } = comparison;
            let met = match comparison.is_met() {
                None => "",
                Some(true) => "✓",
                Some(false) => "✗",
            };
            let (shown, aim) = (comparison.show(), comparison.show_aim());
            writeln!(text, "| {what} | {beside} | {shown} | {aim} | {met} |")?;
        }
    }
    for (name, title, answer) in answers {
        write!(text, "\n## {title}\n\n`-- {name}`, {}.\n", answer.made)?;
        for missing in &answer.missing {
            write!(text, "\n**Missing:** {missing}.\n")?;
        }
        for chart in &answer.charts {
            write!(text, "\n![{}](plots/{}.svg)\n", chart.title, chart.file)?;
        }
        let missed: Vec<_> = answer.comparisons.iter().filter(|one| one.is_met() == Some(false)).collect();
        if !missed.is_empty() {
            text.push_str("\nMissed:\n");
            for comparison in missed {
                let Comparison { what, beside, reason, .. } = comparison;
                let beside = if beside.is_empty() { String::new() } else { format!(", beside {beside}") };
                let (shown, aim) = (comparison.show(), comparison.show_aim());
                write!(text, "\n- {what}{beside}: {shown} instead of {aim}. {reason}")?;
            }
            text.push('\n');
        }
        write!(text, "\n{}\n", answer.text.trim())?;
    }
    Ok(text)
}

/// How a heading is linked to.
fn anchor(title: &str) -> String {
    let kept = title
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -".contains(*letter))
        .collect::<String>();
    kept.replace(' ', "-")
}
