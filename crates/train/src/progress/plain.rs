//! Progress for people, line by line.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use ansatz_core::{Part, Scores};
use ansatz_run::written::count;

use super::figures::{clock, in_full, in_short};
use super::{Event, Listener, StepFigures};

/// Seconds after which a long epoch gives a sign of life.
const SIGN_OF_LIFE: f64 = 5.0;

/// Writes a line per evaluation and epoch, and one every five seconds of a long epoch.
///
/// ```text
/// Handwritten digits: 203,914 parameters, 1,347 training examples, on cpu
///   epoch  train loss  learning rate  examples/s  elapsed     left  validation
///     1/2      1.8342        1.50e-3       1,204     0:02     0:02  accuracy 61.11 %, loss 1.2345  best
/// ```
///
/// A stream that takes no more, as a closed pipe, is no reason to stop training: what it misses is lost.
pub struct Plain<W> {
    stream: W,
    colour: bool,
    /// Seconds since this listener was made.
    now: Box<dyn Fn() -> f64>,
    course: Course,
    since: Since,
    /// The last logged step.
    last: Option<StepFigures>,
}

/// The course of the whole run.
#[derive(Default)]
struct Course {
    steps_per_epoch: u64,
    total_steps: u64,
    /// Steps done before this sitting.
    first_step: u64,
    /// When this sitting began.
    begun: f64,
}

/// What happened since the last line.
#[derive(Default)]
struct Since {
    /// When the last line was written.
    written: f64,
    /// Full epochs done then.
    epochs: u64,
    /// Losses of the logged steps.
    losses: Vec<f64>,
}

impl<W: Write + IsTerminal> Plain<W> {
    /// Writes to `stream`, normally standard error; in colour if it is a terminal and the environment
    /// variable `NO_COLOR` is unset or empty.
    pub fn new(stream: W) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = stream.is_terminal() && !refused;
        Self { colour, ..Self::uncoloured(stream) }
    }
}

impl<W: Write> Plain<W> {
    /// Writes to any `stream`, without colour.
    pub fn uncoloured(stream: W) -> Self {
        let begun = Instant::now();
        let now = Box::new(move || begun.elapsed().as_secs_f64());
        Self { stream, colour: false, now, course: Course::default(), since: Since::default(), last: None }
    }

    fn write(&mut self, line: &str) {
        let _ = writeln!(self.stream, "{line}").and_then(|()| self.stream.flush());
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn start(&mut self, what: &str, resumed: u64) {
        self.write(&if resumed > 0 {
            format!("{what}, going on behind step {}", count(resumed))
        } else {
            what.to_owned()
        });
        let names = ["epoch", "train loss", "learning rate", "examples/s", "elapsed", "left"];
        let header = row(names.map(str::to_owned), "validation");
        self.write(&self.painted("2", &header));
        self.since.written = self.course.begun;
        self.since.epochs = resumed / self.course.steps_per_epoch.max(1);
    }

    fn step(&mut self, figures: StepFigures) {
        if figures.step.saturating_sub(1) / self.course.steps_per_epoch.max(1) > self.since.epochs {
            self.catch_up();
        }
        self.since.losses.push(figures.loss);
        self.last = Some(figures);
        if (self.now)() - self.since.written >= SIGN_OF_LIFE {
            self.catch_up();
        }
    }

    /// Writes the line of steps that none told of yet.
    fn catch_up(&mut self) {
        if let (Some(last), false) = (self.last, self.since.losses.is_empty()) {
            self.report(last.step, last.epoch, "");
        }
    }

    fn judged(&mut self, scores: &Scores, step: u64, epoch: f64, best: bool) {
        let mark = if best { format!("  {}", self.painted("1;32", "best")) } else { String::new() };
        self.report(step, epoch, &format!("{}{mark}", in_short(scores)));
    }

    fn report(&mut self, step: u64, epoch: f64, validation: &str) {
        let Course { steps_per_epoch, total_steps, first_step, begun } = self.course;
        let now = (self.now)();
        let elapsed = now - begun;
        let seconds_per_step = elapsed / step.saturating_sub(first_step) as f64;
        let left = seconds_per_step * total_steps.saturating_sub(step) as f64;
        let losses = std::mem::take(&mut self.since.losses);
        let loss = losses.iter().sum::<f64>() / losses.len() as f64;
        let unknown =
            |value: f64, written: String| if value.is_finite() { written } else { "–".to_owned() };
        let rate = self.last.map_or(f64::NAN, |last| last.learning_rate);
        let speed = self.last.map_or(f64::NAN, |last| last.examples_per_second);
        let decimals = usize::from((epoch - epoch.round()).abs() > 1e-9);
        let cells = [
            format!("{epoch:.decimals$}/{}", total_steps.div_ceil(steps_per_epoch.max(1))),
            unknown(loss, format!("{loss:.4}")),
            unknown(rate, format!("{rate:.2e}")),
            unknown(speed, count(speed.round() as u64)),
            clock(elapsed),
            unknown(left, clock(left)),
        ];
        self.write(&row(cells, validation));
        self.since = Since { written: now, epochs: step / steps_per_epoch.max(1), losses: Vec::new() };
    }

    fn end(&mut self, reason: &str, step: u64, seconds: f64) {
        self.catch_up();
        self.write(&format!("{reason} behind step {} after {}", count(step), clock(seconds)));
    }
}

/// A line of the table.
fn row([epoch, loss, rate, speed, elapsed, left]: [String; 6], validation: &str) -> String {
    let row =
        format!("{epoch:>9}  {loss:>10}  {rate:>13}  {speed:>10}  {elapsed:>7}  {left:>7}  {validation}");
    row.trim_end().to_owned()
}

impl<W: Write> Listener for Plain<W> {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::Started {
                title,
                device,
                parameters,
                examples,
                step,
                steps_per_epoch,
                total_steps,
                ..
            } => {
                self.course = Course {
                    steps_per_epoch: *steps_per_epoch,
                    total_steps: *total_steps,
                    first_step: *step,
                    begun: (self.now)(),
                };
                let title = if title.trim().is_empty() { String::new() } else { format!("{title}: ") };
                let (parameters, examples) = (count(*parameters as u64), count(*examples as u64));
                let what =
                    format!("{title}{parameters} parameters, {examples} training examples, on {device}");
                self.start(&what, *step);
            }
            Event::Step(figures) => self.step(*figures),
            Event::Evaluated { part: Part::Test, scores, .. } => {
                self.catch_up();
                let examples = count(scores.examples as u64);
                self.write(&format!("test: {} over {examples} examples", in_full(scores)));
            }
            Event::Evaluated { scores, step, epoch, best, .. } => self.judged(scores, *step, *epoch, *best),
            Event::Saved { .. } => {}
            Event::Noted { text } => self.write(&format!("note: {}", text.replace('\n', "\n      "))),
            Event::Ended { reason, step, seconds } => self.end(reason, *step, *seconds),
        }
    }
}

impl<W: std::fmt::Debug> std::fmt::Debug for Plain<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plain")
            .field("stream", &self.stream)
            .field("colour", &self.colour)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    fn started(step: u64) -> Event {
        Event::Started {
            title: "Digits".to_owned(),
            run: "runs/digits".into(),
            device: "cpu".to_owned(),
            parameters: 203_914,
            examples: 1347,
            step,
            steps_per_epoch: 10,
            total_steps: 20,
        }
    }

    fn step(step: u64, loss: f64) -> Event {
        Event::Step(StepFigures {
            step,
            epoch: step as f64 / 10.0,
            loss,
            learning_rate: 0.0015,
            gradient_norm: 1.0,
            examples_per_second: 1204.4,
        })
    }

    fn judged(part: Part, step: u64, accuracy: f64, best: bool) -> Event {
        let values = [("accuracy", accuracy), ("loss", 0.25), ("macro_f1", 0.5)]
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        let scores = Scores::rising(180, "accuracy", values);
        Event::Evaluated { part, step, epoch: step as f64 / 10.0, scores, best }
    }

    fn ended(reason: &str, step: u64, seconds: f64) -> Event {
        Event::Ended { reason: reason.to_owned(), step, seconds }
    }

    /// The lines of events heard at these times, in seconds.
    fn lines(colour: bool, events: &[(f64, Event)]) -> Vec<String> {
        let mut stream = Vec::new();
        let time = Rc::new(Cell::new(0.0));
        let shown = Rc::clone(&time);
        let mut plain =
            Plain { colour, now: Box::new(move || shown.get()), ..Plain::uncoloured(&mut stream) };
        for (at, event) in events {
            time.set(*at);
            plain.hear(event);
        }
        drop(plain);
        String::from_utf8(stream).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_run_from_start_to_end() {
        let events = [
            (1.0, started(0)),
            (2.0, step(5, 2.0)),
            (3.0, step(10, 1.5)),
            (3.5, judged(Part::Validation, 10, 0.6111, true)),
            (5.0, step(15, 1.0)),
            (6.0, step(20, 0.5)),
            (6.0, judged(Part::Validation, 20, 0.6, false)),
            (7.0, judged(Part::Test, 20, 0.625, false)),
            (7.0, ended("finished", 20, 5.0)),
        ];
        let expected = [
            "Digits: 203,914 parameters, 1,347 training examples, on cpu",
            "    epoch  train loss  learning rate  examples/s  elapsed     left  validation",
            "      1/2      1.7500        1.50e-3       1,204     0:03     0:03  accuracy 61.11 %, loss 0.2500  best",
            "      2/2      0.7500        1.50e-3       1,204     0:05     0:00  accuracy 60.00 %, loss 0.2500",
            "test: accuracy 62.50 %, loss 0.2500, macro f1 0.5000 over 180 examples",
            "finished behind step 20 after 0:05",
        ];
        assert_eq!(lines(false, &events), expected);
    }

    #[test]
    fn a_long_epoch_gives_a_sign_of_life_and_an_unjudged_one_a_line() {
        let events = [
            (0.0, started(0)),
            (4.0, step(2, 2.0)),
            (6.0, step(3, 1.0)),
            (8.0, step(10, 1.0)),
            (10.0, step(12, 0.5)),
            (10.5, ended("interrupted", 12, 10.5)),
        ];
        let expected = [
            "    0.3/2      1.5000        1.50e-3       1,204     0:06     0:34",
            "      1/2      1.0000        1.50e-3       1,204     0:10     0:10",
            "    1.2/2      0.5000        1.50e-3       1,204     0:11     0:07",
            "interrupted behind step 12 after 0:11",
        ];
        assert_eq!(lines(false, &events)[2..], expected);
    }

    #[test]
    fn a_resumed_run_counts_its_own_time() {
        let events = [(0.0, started(10)), (2.0, judged(Part::Validation, 15, 0.5, false))];
        let expected = [
            "Digits: 203,914 parameters, 1,347 training examples, on cpu, going on behind step 10",
            "    epoch  train loss  learning rate  examples/s  elapsed     left  validation",
            "    1.5/2           –              –           –     0:02     0:02  accuracy 50.00 %, loss 0.2500",
        ];
        assert_eq!(lines(false, &events), expected);
    }

    #[test]
    fn colour_marks_the_best_and_dims_the_names() {
        let events = [(0.0, started(0)), (1.0, judged(Part::Validation, 10, 0.5, true))];
        let lines = lines(true, &events);
        assert!(lines[1].starts_with("\u{1b}[2m") && lines[1].ends_with("\u{1b}[0m"), "{lines:?}");
        assert!(lines[2].ends_with("  \u{1b}[1;32mbest\u{1b}[0m"), "{lines:?}");
    }

    #[test]
    fn a_note_keeps_together() {
        let note = Event::Noted { text: "A checkpoint is damaged.\nGoing on from step 6.".to_owned() };
        let expected = ["note: A checkpoint is damaged.", "      Going on from step 6."];
        assert_eq!(lines(false, &[(0.0, note)]), expected);
    }

    #[test]
    fn a_closed_stream_does_not_stop_training() {
        let mut room = [0_u8; 10];
        let mut plain = Plain::uncoloured(&mut room[..]);
        plain.hear(&started(0));
        plain.hear(&step(1, 1.0));
    }
}
