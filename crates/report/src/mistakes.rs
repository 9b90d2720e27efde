//! `mistakes.json`: the examples the network was most wrong about.

use std::path::Path;

use ansatz_core::Result;
use maud::{Markup, html};
use serde::Deserialize;

use crate::format;
use crate::picture::Exhibit;

/// Mistakes shown: more would make the page heavy, not wiser.
const MISTAKES_SHOWN: usize = 60;

/// One mistake.
#[derive(Debug, Deserialize)]
pub(crate) struct Mistake {
    #[serde(default)]
    index: Option<usize>,
    target: String,
    #[serde(default)]
    predictions: Vec<(String, f64)>,
    #[serde(default)]
    loss: Option<f64>,
    /// The exhibit's file, relative to the run folder.
    #[serde(default, rename = "exhibit")]
    file: Option<String>,
    #[serde(skip)]
    exhibit: Option<Exhibit>,
}

impl Mistake {
    /// Reads the exhibit.
    pub(crate) fn look(&mut self, folder: &Path) -> Result<()> {
        if let Some(file) = &self.file {
            self.exhibit = Exhibit::read(folder, file)?;
        }
        Ok(())
    }
}

/// The section of the worst mistakes; empty where there are none.
pub(crate) fn section(mistakes: &[Mistake]) -> Markup {
    if mistakes.is_empty() {
        return html! {};
    }
    html! {
        section #mistakes {
            h2 { "Worst mistakes" }
            p.note { "The wrongly answered examples with the highest loss, and how probable the network held each answer." }
            div.mistakes { @for mistake in mistakes.iter().take(MISTAKES_SHOWN) { (card(mistake)) } }
        }
    }
}

fn card(mistake: &Mistake) -> Markup {
    let said = mistake.predictions.first();
    let description =
        format!("example of {} taken for {}", mistake.target, said.map_or("nothing", |said| &said.0));
    html! {
        figure.mistake {
            @match &mistake.exhibit {
                Some(exhibit) => (exhibit.show(&description)),
                None => div.absent { "not pictured" },
            }
            figcaption {
                p.right { "right " strong { (mistake.target) } (probability(mistake)) }
                @for (position, (name, share)) in mistake.predictions.iter().filter(|said| said.0 != mistake.target).take(2).enumerate() {
                    p.said[position == 0].next[position > 0] {
                        @if position == 0 { "said " } @else { "then " }
                        strong { (name) } " " span.figure { (format::percent(*share, 1)) }
                    }
                }
                p.faint {
                    @if let Some(loss) = mistake.loss { "loss " (format::figure(loss)) }
                    @if let Some(index) = mistake.index { " · no. " (index) }
                }
            }
        }
    }
}

/// How probable the right answer was held, where it is among the predictions.
fn probability(mistake: &Mistake) -> Markup {
    let held = mistake.predictions.iter().find(|said| said.0 == mistake.target);
    html! { @if let Some((_, share)) = held { " " span.figure { (format::percent(*share, 1)) } } }
}
