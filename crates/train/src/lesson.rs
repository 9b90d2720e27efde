//! What a student learns from its teacher on one batch.

use ansatz_core::{Batch, Blocks, Error, Features, Inputs, Model, Result, Shared, Targets};
use burn::tensor::{Bool, Device, Tensor};

use crate::distance::{hidden_distance, influence_distance};
use crate::inside::{InsideConfig, Whose};
use crate::projections::Projections;
use crate::soft_targets::soft_loss;
use crate::teacher::Teacher;

/// What was seen of a network on its way through its blocks.
pub(crate) struct Seen {
    /// What reached each block, and behind them what left the last.
    pub reached: Vec<Features>,
    /// The matrix of each block that was asked for it, where it has one.
    pub influence: Vec<Option<Tensor<4>>>,
    /// What left the backbone.
    pub left: Features,
}

/// What `model` makes of `features`, block by block; `asked` blocks are asked how they mix tokens.
///
/// # Errors
/// When the backbone does not say what its blocks are; `who` it is of.
pub(crate) fn through(model: &Model, features: Features, asked: &[usize], who: &str) -> Result<Seen> {
    let blocks = blocks(model, who)?;
    let mut reached = vec![blocks.enter(features)];
    let mut influence = Vec::with_capacity(blocks.count());
    for index in 0..blocks.count() {
        let features = reached[index].clone();
        let is_asked = asked.contains(&index);
        influence.push(if is_asked { blocks.influence_in(index, &features) } else { None });
        reached.push(blocks.block(index, features));
    }
    let left = blocks.leave(reached[blocks.count()].clone());
    Ok(Seen { reached, influence, left })
}

/// The blocks of a network.
pub(crate) fn blocks<'a>(model: &'a Model, who: &str) -> Result<&'a dyn Blocks> {
    model.backbone.blocks().ok_or_else(|| {
        Error::input(
            format!("the backbone of the {who}"),
            "it does not say what its blocks are, so that their insides can neither teach nor be taught",
            "a stack, a hierarchy, a conv-pyramid or a resnet",
            "leave train.teacher.hidden and train.teacher.influence out, or choose such a backbone",
        )
    })
}

/// What is imitated of the teacher's insides, and by which blocks.
struct Inside<'a> {
    config: &'a InsideConfig,
    /// Blocks `[student, teacher]`.
    pairs: Vec<[usize; 2]>,
}

impl<'a> Inside<'a> {
    fn of(
        config: Option<&'a InsideConfig>,
        student: &dyn Blocks,
        teacher: &dyn Blocks,
    ) -> Result<Option<Self>> {
        let Some(config) = config else { return Ok(None) };
        Ok(Some(Self { config, pairs: config.pairs(student.count(), teacher.count())? }))
    }
}

/// The blocks of `side`, 0 the student's and 1 the teacher's, that are asked how they mix tokens.
fn asked(influence: Option<&Inside<'_>>, side: usize) -> Vec<usize> {
    influence.map_or(Vec::new(), |inside| inside.pairs.iter().map(|pair| pair[side]).collect())
}

impl Teacher {
    /// Whether more than answers is imitated.
    pub(crate) fn shows_inside(&self) -> bool {
        self.config.hidden.is_some() || self.config.influence.is_some()
    }

    /// The loss of `student`, which is on `device`, with autodiff, on the examples of `batch`.
    ///
    /// # Errors
    /// When the two do not fit.
    pub(crate) fn loss(
        &self,
        student: &Model,
        projections: &Projections,
        batch: Batch,
        device: &Device,
    ) -> Result<Tensor<1>> {
        let shown = batch.inputs(&self.device);
        let (inputs, targets) = batch.into_parts(device);
        if !self.shows_inside() {
            let wanted = self.model.forward(&shown)?;
            let (outputs, task) = student.answer(&inputs, &targets)?;
            return self.answer_loss(outputs, wanted, &targets, task);
        }
        let (taught, teaching) = (blocks(student, "student")?, blocks(&self.model, "teacher")?);
        let hidden = Inside::of(self.config.hidden.as_ref(), taught, teaching)?;
        let influence = Inside::of(self.config.influence.as_ref(), taught, teaching)?;
        let reads_own = |inside: &Inside<'_>| inside.config.inputs == Whose::Own;
        let is_own = self.config.outputs > 0.0 || [&hidden, &influence].into_iter().flatten().any(reads_own);

        let features = self.model.features(&shown)?;
        let shown = through(&self.model, features, &asked(influence.as_ref(), 1), "teacher")?;
        let mut terms = Vec::new();
        let mut own = None;
        if is_own {
            let asked = match &influence {
                Some(inside) if reads_own(inside) => asked(Some(inside), 0),
                _ => Vec::new(),
            };
            let (seen, answers) = self.own(student, &inputs, &targets, &asked)?;
            if let Some((outputs, task)) = answers {
                let wanted = self.model.head.forward(shown.left.clone());
                terms.push(self.answer_loss(outputs, wanted, &targets, task)?);
            }
            own = Some(seen);
        }
        let lent = Lent { blocks: taught, shown: &shown, shared: Shared::default() };
        if let Some(inside) = &hidden {
            terms.push(lent.hidden(inside, own.as_ref(), projections));
        }
        if let Some(inside) = &influence {
            terms.push(lent.influence(inside, own.as_ref())?);
        }
        let sum = terms.into_iter().reduce(|sum, term| sum + term);
        sum.ok_or_else(|| Error::Failed("training: the teacher teaches nothing".to_owned()))
    }

    /// What is seen of the student with its own tokens, and its answers with their loss, where they count.
    fn own(
        &self,
        student: &Model,
        inputs: &Inputs,
        targets: &Targets,
        asked: &[usize],
    ) -> Result<(Seen, Option<(Tensor<3>, Tensor<1>)>)> {
        let features = student.features(inputs)?;
        let shared = features.shared.clone();
        let seen = through(student, features, asked, "student")?;
        let answers = match self.config.outputs > 0.0 {
            true => Some(student.conclude(seen.left.clone(), &shared, targets)?),
            false => None,
        };
        Ok((seen, answers))
    }

    /// What a student's answers count that gave `outputs` where the teacher gave `wanted`, and whose own loss is `task`.
    ///
    /// # Errors
    /// When the two are of different shapes.
    fn answer_loss(
        &self,
        outputs: Tensor<3>,
        wanted: Tensor<3>,
        targets: &Targets,
        task: Tensor<1>,
    ) -> Result<Tensor<1>> {
        if outputs.dims() != wanted.dims() {
            return Err(Error::Failed(format!(
                "training: the teacher gives {:?} outputs, the student {:?}",
                wanted.dims(),
                outputs.dims()
            )));
        }
        let soft = soft_loss(outputs, Tensor::from_inner(wanted), targets, self.config.temperature);
        Ok((soft * self.config.share + task * (1.0 - self.config.share)) * self.config.outputs)
    }
}

/// What is seen of the teacher, as it is lent to the student's blocks.
struct Lent<'a> {
    blocks: &'a dyn Blocks,
    shown: &'a Seen,
    /// What the student's blocks leave for each other.
    shared: Shared,
}

impl Lent<'_> {
    /// What reached block `index` of the teacher, or left the one before, for the student to compute with.
    fn reached(&self, index: usize) -> Features {
        let features = &self.shown.reached[index];
        Features {
            tokens: Tensor::from_inner(features.tokens.clone()),
            mask: self.mask(index),
            grid: features.grid,
            shared: self.shared.clone(),
        }
    }

    fn mask(&self, index: usize) -> Option<Tensor<2, Bool>> {
        self.shown.reached[index].mask.clone().map(Tensor::from_inner)
    }

    /// The mean distance of the tokens that leave the blocks, times its weight.
    fn hidden(&self, inside: &Inside<'_>, own: Option<&Seen>, projections: &Projections) -> Tensor<1> {
        let distance = |(index, &[student, teacher]): (usize, &[usize; 2])| {
            let tokens = match own.filter(|_| inside.config.inputs == Whose::Own) {
                Some(own) => own.reached[student + 1].tokens.clone(),
                None => self.blocks.block(student, self.reached(teacher)).tokens,
            };
            let wanted = Tensor::from_inner(self.shown.reached[teacher + 1].tokens.clone());
            hidden_distance(projections.forward(index, tokens), wanted, self.mask(teacher + 1))
        };
        mean(inside, inside.pairs.iter().enumerate().map(distance))
    }

    /// The mean distance of the matrices by which the mixers mix tokens, times its weight.
    fn influence(&self, inside: &Inside<'_>, own: Option<&Seen>) -> Result<Tensor<1>> {
        let mut distances = Vec::new();
        for &[student, teacher] in &inside.pairs {
            let given = match own.filter(|_| inside.config.inputs == Whose::Own) {
                Some(own) => own.influence[student].clone(),
                None => self.blocks.influence_in(student, &self.reached(teacher)),
            };
            let wanted = self.shown.influence[teacher].clone();
            let (Some(given), Some(wanted)) = (given, wanted) else {
                return Err(Error::Failed(format!(
                    "training: block {student} of the student or {teacher} of the teacher does not say how it mixes tokens \
                     of this batch; rows with padding may be why"
                )));
            };
            distances.push(influence_distance(given, Tensor::from_inner(wanted), self.mask(teacher)));
        }
        Ok(mean(inside, distances.into_iter()))
    }
}

/// The mean over pairs, of which there is at least one, times the weight.
fn mean(inside: &Inside<'_>, distances: impl Iterator<Item = Tensor<1>>) -> Tensor<1> {
    let sum = distances.reduce(|sum, distance| sum + distance).expect("a network has blocks");
    sum * (inside.config.weight / inside.pairs.len() as f64)
}
