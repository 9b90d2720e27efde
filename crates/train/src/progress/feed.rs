//! Our events as burn-train's renderers want them.

use std::collections::HashSet;
use std::sync::Arc;

use ansatz_core::{Part, Scores};
use ansatz_run::written::is_share;
use burn_train::metric::{
    MetricDefinition, MetricEntry, MetricId, NumericAttributes, NumericEntry, SerializedEntry,
};
use burn_train::renderer::{EvaluationName, MetricState, MetricsRenderer};

use super::figures::heading;
use super::{Event, StepFigures};

/// Feeds a renderer.
pub(super) struct Feed<R> {
    renderer: R,
    registered: HashSet<String>,
    examples: u64,
    steps_per_epoch: u64,
    /// Examples seen of the epoch under way.
    seen: u64,
}

impl<R: MetricsRenderer> Feed<R> {
    /// Opens the display of a run of `total_steps`, of which `step` are done.
    pub(super) fn start(
        mut renderer: R,
        title: &str,
        examples: u64,
        step: u64,
        steps_per_epoch: u64,
        total_steps: u64,
    ) -> Self {
        let steps_per_epoch = steps_per_epoch.max(1);
        let (epochs, done) = (total_steps.div_ceil(steps_per_epoch), step / steps_per_epoch);
        let label = Some(title).filter(|title| !title.trim().is_empty());
        renderer.start(epochs as usize, done as usize, Some(examples as usize), label);
        renderer.start_split("train", examples as usize);
        // The renderer counts epochs from one and takes none for fewer than none.
        renderer.update_epoch(done as usize);
        let seen = examples * (step % steps_per_epoch) / steps_per_epoch;
        let mut feed = Self { renderer, registered: HashSet::new(), examples, steps_per_epoch, seen };
        feed.refresh();
        feed
    }

    /// Shows what an event tells.
    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::Step(figures) => self.step(figures),
            Event::Evaluated { part, scores, .. } => self.judged(*part, scores),
            Event::Saved { .. } => self.renderer.log_event_training("Checkpoints".to_owned()),
            Event::Started { .. } | Event::Noted { .. } | Event::Ended { .. } => {}
        }
    }

    /// Tells the renderer again how far the run is: it panics here if the user chose to kill the run.
    pub(super) fn refresh(&mut self) {
        self.renderer.update_split(self.seen as usize);
    }

    fn step(&mut self, figures: &StepFigures) {
        let before = figures.step.saturating_sub(1);
        let epoch = before / self.steps_per_epoch;
        self.seen = self.examples * (before % self.steps_per_epoch + 1) / self.steps_per_epoch;
        self.renderer.update_epoch(epoch as usize);
        self.refresh();
        for (name, value, higher_is_better) in [
            ("loss", figures.loss, false),
            ("learning rate", figures.learning_rate, false),
            ("gradient norm", figures.gradient_norm, false),
            ("examples per second", figures.examples_per_second, true),
        ] {
            let state = self.state(name, value, higher_is_better);
            self.renderer.update_train(state);
        }
    }

    fn judged(&mut self, part: Part, scores: &Scores) {
        for (name, value) in &scores.values {
            let higher_is_better =
                if *name == scores.primary { scores.higher_is_better } else { is_share(name) };
            let state = self.state(name, *value, higher_is_better);
            match part {
                Part::Train => self.renderer.update_train(state),
                Part::Validation => self.renderer.update_valid(state),
                Part::Test => self.renderer.update_test(EvaluationName::new("test"), state),
            }
        }
    }

    /// A figure as the renderer takes it; makes the figure known the first time.
    fn state(&mut self, name: &str, value: f64, higher_is_better: bool) -> MetricState {
        // What a loss is counted in depends on the task, which nobody knows here.
        let (unit, value) = if is_share(name) { (Some("%"), value * 100.0) } else { (None, value) };
        let name = heading(name);
        let metric_id = MetricId::new(Arc::new(name.clone()));
        if self.registered.insert(name.clone()) {
            let attributes = NumericAttributes { unit: unit.map(str::to_owned), higher_is_better };
            self.renderer.register_metric(MetricDefinition {
                metric_id: metric_id.clone(),
                name: Arc::new(unit.map_or_else(|| name.clone(), |unit| format!("{name} ({unit})"))),
                description: None,
                attributes: attributes.into(),
            });
        }
        let written = match value.abs() {
            _ if !value.is_finite() => "–".to_owned(),
            size if size != 0.0 && size < 0.001 => format!("{value:.2e}"),
            size if size >= 100.0 => format!("{value:.0}"),
            size if size >= 10.0 => format!("{value:.2}"),
            _ => format!("{value:.4}"),
        };
        let entry = MetricEntry::new(metric_id, SerializedEntry::new(written, value.to_string()));
        MetricState::Numeric(entry, value.is_finite().then_some(NumericEntry::Value(value)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use burn_train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
    use burn_train::renderer::{MetricsRendererEvaluation, MetricsRendererTraining};

    use super::*;

    /// Writes down what it is told.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<String>>>);

    impl Told {
        fn note(&self, text: String) {
            self.0.lock().unwrap().push(text);
        }

        fn figure(&self, split: &str, state: MetricState) {
            let MetricState::Numeric(entry, drawn) = state else { return self.note("text".to_owned()) };
            let drawn = if drawn.is_some() { "" } else { ", not drawn" };
            self.note(format!("{split} {}{drawn}", entry.serialized_entry.formatted));
        }
    }

    impl MetricsRenderer for Told {
        fn manual_close(&mut self) {}
        fn register_metric(&mut self, definition: MetricDefinition) {
            self.note(format!("register {}", definition.name));
        }
    }

    impl MetricsRendererTraining for Told {
        fn update_train(&mut self, state: MetricState) {
            self.figure("train", state);
        }
        fn update_valid(&mut self, state: MetricState) {
            self.figure("valid", state);
        }
    }

    impl MetricsRendererEvaluation for Told {
        fn update_test(&mut self, name: EvaluationName, state: MetricState) {
            self.figure(name.as_str(), state);
        }
    }

    impl TrainingProgressLogger for Told {
        fn start(&mut self, epochs: usize, done: usize, items: Option<usize>, label: Option<&str>) {
            self.note(format!("start {epochs} {done} {items:?} {label:?}"));
        }
        fn update_epoch(&mut self, epoch: usize) {
            self.note(format!("epoch {epoch}"));
        }
        fn start_split(&mut self, split: &str, items: usize) {
            self.note(format!("split {split} {items}"));
        }
        fn update_split(&mut self, items: usize) {
            self.note(format!("items {items}"));
        }
        fn end_split(&mut self) {}
        fn end(&mut self) {}
        fn log_event_training(&mut self, event: String) {
            self.note(event);
        }
    }

    impl EvaluationProgressLogger for Told {
        fn start_global_progress(&mut self, _: usize) {}
        fn start_test(&mut self, _: &str, _: usize) {}
        fn update_test_progress(&mut self, _: usize) {}
        fn end_test(&mut self) {}
        fn end_global_progress(&mut self) {}
        fn log_event_evaluation(&mut self, _: String) {}
    }

    #[test]
    fn steps_and_scores_reach_the_renderer() {
        let told = Told::default();
        let mut feed = Feed::start(told.clone(), "Digits", 100, 10, 10, 25);
        let figures = StepFigures {
            step: 20,
            epoch: 2.0,
            loss: 0.5,
            learning_rate: 0.0002,
            gradient_norm: f64::NAN,
            examples_per_second: 1204.4,
        };
        feed.show(&Event::Step(figures));
        let values = [("accuracy".to_owned(), 0.75), ("loss".to_owned(), 0.25)].into();
        let scores = Scores::rising(4, "accuracy", values);
        feed.show(&Event::Evaluated { part: Part::Validation, step: 20, epoch: 2.0, scores, best: true });
        feed.show(&Event::Saved { step: 20, path: "checkpoint".into() });
        let expected = [
            "start 3 1 Some(100) Some(\"Digits\")",
            "split train 100",
            "epoch 1",
            "items 0",
            "epoch 1",
            "items 100",
            "register Loss",
            "train 0.5000",
            "register Learning rate",
            "train 2.00e-4",
            "register Gradient norm",
            "train –, not drawn",
            "register Examples per second",
            "train 1204",
            "register Accuracy (%)",
            "valid 75.00",
            "valid 0.2500",
            "Checkpoints",
        ];
        assert_eq!(*told.0.lock().unwrap(), expected);
    }
}
