//! Progress for programs: one JSON object a line.

use std::io::Write;

use super::{Event, Listener};

/// Writes each event as one line of JSON, at once.
///
/// A stream that takes no more, as a closed pipe, is no reason to stop training: what it misses is lost.
#[derive(Debug)]
pub struct JsonLines<W> {
    stream: W,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `stream`, normally standard output.
    pub fn new(stream: W) -> Self {
        Self { stream }
    }
}

impl<W: Write> Listener for JsonLines<W> {
    fn hear(&mut self, event: &Event) {
        let Ok(mut line) = serde_json::to_vec(event) else { return };
        line.push(b'\n');
        let _ = self.stream.write_all(&line).and_then(|()| self.stream.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::StepFigures;

    #[test]
    fn an_event_is_a_line() {
        let mut stream = Vec::new();
        let mut lines = JsonLines::new(&mut stream);
        let figures = StepFigures {
            step: 1,
            epoch: 0.5,
            loss: 2.25,
            learning_rate: 0.1,
            gradient_norm: f64::NAN,
            examples_per_second: 8.0,
        };
        lines.hear(&Event::Step(figures));
        lines.hear(&Event::Ended { reason: "finished".to_owned(), step: 1, seconds: 0.5 });
        let expected = concat!(
            r#"{"event":"step","step":1,"epoch":0.5,"loss":2.25,"learning_rate":0.1,"#,
            r#""gradient_norm":null,"examples_per_second":8.0}"#,
            "\n",
            r#"{"event":"ended","reason":"finished","step":1,"seconds":0.5}"#,
            "\n",
        );
        assert_eq!(String::from_utf8(stream).unwrap(), expected);
    }
}
