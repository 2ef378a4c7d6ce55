//! A flame graph: each box is a function, as wide as it was seen often, upon the one that called it.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use super::samples::{Frame, Part, Stack};

/// Pixels of the picture from left to right, of a box from top to bottom, and of what stands above all of them.
const WIDTH: f64 = 1_200.0;
const ROW: f64 = 16.0;
const HEAD: f64 = 56.0;
/// Pixels of a letter, and the least of a box that is drawn.
const LETTER: f64 = 6.05;
const LEAST: f64 = 1.2;
/// Whose code has which colour.
const PARTS: [(Part, &str, &str); 4] = [
    (Part::Trackside, "#93b4f8", "Trackside"),
    (Part::Crate, "#d8dee8", "other crates, and Rust's own"),
    (Part::Native, "#f5dd8c", "C: SQLite, zstd, allocator, libc"),
    (Part::Kernel, "#f0b08a", "the kernel"),
];

/// A function that was seen upon the same others, and what was seen upon it.
#[derive(Default)]
struct Branch {
    part: Part,
    samples: usize,
    upon: BTreeMap<String, Branch>,
}

impl Branch {
    /// The branch of a name, seen once more.
    fn grow(&mut self, name: &str, part: Part) -> &mut Self {
        let branch = self.upon.entry(name.to_owned()).or_default();
        branch.part = part;
        branch.samples += 1;
        branch
    }

    /// How many boxes stand one upon the other, of those that are wide enough.
    fn height(&self, scale: f64) -> usize {
        let drawn = self.upon.values().filter(|branch| branch.samples as f64 * scale >= LEAST);
        1 + drawn.map(|branch| branch.height(scale)).max().unwrap_or(0)
    }
}

/// Draws it, as SVG.
pub(super) fn draw(title: &str, stacks: &[Stack]) -> Result<String, fmt::Error> {
    let mut root = Branch { samples: stacks.len(), ..Branch::default() };
    for Stack { thread, frames } in stacks {
        let thread = root.grow(thread, Part::Crate);
        frames.iter().fold(thread, |below, Frame { name, part }| below.grow(name, *part));
    }
    let scale = WIDTH / stacks.len() as f64;
    let height = HEAD + root.height(scale) as f64 * ROW + 8.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"monospace\" font-size=\"10\" fill=\"#1e293b\">\n\
         <style>g rect {{ stroke: #ffffff; stroke-width: 0.5 }}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"8\" y=\"20\" font-size=\"14\" font-family=\"sans-serif\">{}</text>\n",
        escaped(title)
    );
    let mut at = 8.0;
    for (_, color, name) in PARTS {
        writeln!(svg, "<rect x=\"{at}\" y=\"32\" width=\"12\" height=\"12\" fill=\"{color}\"/>")?;
        writeln!(svg, "<text x=\"{}\" y=\"42\">{name}</text>", at + 18.0)?;
        at += 42.0 + name.len() as f64 * LETTER;
    }
    let name = format!("{} samples", stacks.len());
    Boxes { svg: &mut svg, scale, bottom: height - 8.0, all: stacks.len() }.draw(&name, &root, (0.0, 0))?;
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Where boxes are drawn.
struct Boxes<'a> {
    svg: &'a mut String,
    /// Pixels of a sample.
    scale: f64,
    bottom: f64,
    all: usize,
}

impl Boxes<'_> {
    /// Draws a box at some pixels from the left, upon so many others, and what is upon it.
    fn draw(&mut self, name: &str, branch: &Branch, (left, below): (f64, usize)) -> fmt::Result {
        let width = branch.samples as f64 * self.scale;
        if width < LEAST {
            return Ok(());
        }
        let top = self.bottom - (below + 1) as f64 * ROW;
        let color =
            PARTS.iter().find(|(part, ..)| *part == branch.part).map_or("#ffffff", |(_, color, _)| *color);
        let share = branch.samples as f64 * 100.0 / self.all as f64;
        write!(
            self.svg,
            "<g><title>{}: {share:.1} %</title><rect x=\"{left:.1}\" y=\"{top}\" width=\"{width:.1}\" \
             height=\"{ROW}\" fill=\"{color}\"/>",
            escaped(name)
        )?;
        let shown = shortened(name, ((width - 4.0) / LETTER) as usize);
        if !shown.is_empty() {
            let (left, base) = (left + 2.0, top + 11.5);
            write!(self.svg, "<text x=\"{left:.1}\" y=\"{base}\">{}</text>", escaped(&shown))?;
        }
        self.svg.push_str("</g>\n");
        let mut left = left;
        for (name, branch) in &branch.upon {
            self.draw(name, branch, (left, below + 1))?;
            left += branch.samples as f64 * self.scale;
        }
        Ok(())
    }
}

/// As much of a name as there is room for; nothing, where that is too little.
fn shortened(name: &str, letters: usize) -> String {
    match letters {
        ..4 => String::new(),
        _ if name.chars().count() <= letters => name.to_owned(),
        _ => name.chars().take(letters - 1).chain(['…']).collect(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
