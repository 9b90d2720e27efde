//! Whether a student's insides can be compared with its teacher's, before any work starts.

use ansatz_core::{Batch, ConfigError, Features, Model, Result};
use burn::tensor::Device;

use crate::inside::Whose;
use crate::lesson::{Seen, blocks, through};
use crate::projections::Projections;
use crate::teacher::Teacher;

impl Teacher {
    /// The maps through which `student`, which is without autodiff, is compared with this teacher, drawn on `host` by
    /// `seed`; none where they are not needed. `batch` is any example of both.
    ///
    /// # Errors
    /// When blocks that are to be compared do not fit each other.
    pub(crate) fn fit(
        &self,
        student: &Model,
        batch: &Batch,
        (host, seed): (&Device, u64),
    ) -> Result<Projections> {
        if !self.shows_inside() {
            return Ok(Projections::default());
        }
        let see = |model: &Model, who: &str| {
            let all: Vec<usize> = match self.config.influence {
                Some(_) => (0..blocks(model, who)?.count()).collect(),
                None => Vec::new(),
            };
            through(model, model.features(&batch.inputs(&self.device))?, &all, who)
        };
        let (taught, shown) = (see(student, "student")?, see(&self.model, "teacher")?);
        let fit = || -> Result<Vec<[usize; 2]>, ConfigError> {
            self.fit_influence(&taught, &shown).map_err(|error| error.under("influence"))?;
            self.fit_hidden(&taught, &shown).map_err(|error| error.under("hidden"))
        };
        let widths = fit().map_err(|error| error.under("train.teacher"))?;
        Ok(Projections::of(&widths, seed, host))
    }

    /// The widths `[student, teacher]` of the tokens that are compared.
    fn fit_hidden(&self, taught: &Seen, shown: &Seen) -> Result<Vec<[usize; 2]>, ConfigError> {
        let Some(inside) = &self.config.hidden else { return Ok(Vec::new()) };
        let pairs = inside.pairs(taught.influence.len(), shown.influence.len())?;
        let widths = pairs.into_iter().map(|[student, teacher]| {
            if inside.inputs == Whose::Teacher {
                same_inputs(taught, shown, [student, teacher])?;
            }
            let ([given, wide], [wanted, width]) =
                (sizes(&taught.reached[student + 1]), sizes(&shown.reached[teacher + 1]));
            if given != wanted {
                let problem = format!(
                    "block {student} of the student gives {given} tokens, block {teacher} of the teacher {wanted}"
                );
                return Err(ConfigError::value("layers", problem, "blocks that give as many tokens"));
            }
            Ok([wide, width])
        });
        widths.collect()
    }

    fn fit_influence(&self, taught: &Seen, shown: &Seen) -> Result<(), ConfigError> {
        let Some(inside) = &self.config.influence else { return Ok(()) };
        for [student, teacher] in inside.pairs(taught.influence.len(), shown.influence.len())? {
            if inside.inputs == Whose::Teacher {
                same_inputs(taught, shown, [student, teacher])?;
            }
            let reading = |seen: &Seen, who: &str, block: usize| {
                seen.influence[block].as_ref().map(|reading| reading.dims()).ok_or_else(|| {
                    let problem =
                        format!("the mixer of block {block} of the {who} does not say how it mixes tokens");
                    let expected = "attention, mamba-2, linear attention with any decay, or a delta rule";
                    ConfigError::value("layers", problem, expected)
                })
            };
            let given = reading(taught, "student", student)?;
            let wanted = reading(shown, "teacher", teacher)?;
            if given != wanted {
                let [[_, heads, to, _], [_, others, rows, _]] = [given, wanted];
                let problem = format!(
                    "block {student} of the student mixes {to} tokens in {heads} heads, block {teacher} of the teacher \
                     {rows} in {others}"
                );
                return Err(ConfigError::value("layers", problem, "mixers with as many heads"));
            }
        }
        Ok(())
    }
}

/// Refuses blocks of which one cannot get what reaches the other.
fn same_inputs(taught: &Seen, shown: &Seen, [student, teacher]: [usize; 2]) -> Result<(), ConfigError> {
    let ([_, wide], [_, width]) = (sizes(&taught.reached[student]), sizes(&shown.reached[teacher]));
    if wide == width {
        return Ok(());
    }
    let problem = format!(
        "block {student} of the student takes tokens of {wide} values, block {teacher} of the teacher gets {width}"
    );
    Err(ConfigError::value("inputs", problem, "\"own\", or a student as wide as its teacher"))
}

/// Tokens and the values of each.
fn sizes(features: &Features) -> [usize; 2] {
    let [_, length, width] = features.tokens.dims();
    [length, width]
}
