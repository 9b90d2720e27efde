//! Progress for people, full-screen.

use std::io::{IsTerminal, Write};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use burn_train::Interrupter;
use burn_train::renderer::tui::TuiMetricsRendererWrapper;

use super::feed::Feed;
use super::{Event, Listener, Plain, interrupt_key};

/// How often the dashboard looks whether the user asked to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Our thread, and that of burn-train's renderer.
const DRAWING: &str = "dashboard";
const RENDERING: &str = "train-renderer";

/// Makes a terminal show its alternate screen, keeping what is on the usual one.
const ALTERNATE_SCREEN: &[u8] = b"\x1b[?1049h";

/// burn-train's renderer marks a kill for the whole process: no dashboard can be drawn behind one.
static KILLED: AtomicBool = AtomicBool::new(false);

/// Draws the run full-screen, with burn-train's terminal renderer.
///
/// The screen opens with the first event and closes with the last, with this listener, or when the run is
/// asked to stop, and leaves the terminal as it was, also when training fails or panics. `q` asks what to do;
/// if the user wants to stop, in either way it offers, the run's stop flag is raised: the run saves and ends.
/// Ctrl-C interrupts the process as ever, so a program that draws a dashboard should catch it and raise the
/// flag, too.
///
/// Where standard input or output is no terminal there is nothing to draw on, and where the program holds
/// standard output locked nobody else can draw: [`Plain`] lines go to standard error instead.
#[derive(Debug)]
pub struct Dashboard {
    stop: Arc<AtomicBool>,
    screen: Screen,
    /// What a person should know; said when the screen has closed.
    notes: Vec<String>,
}

#[derive(Debug)]
enum Screen {
    Waiting,
    Drawing(Sender<Event>, JoinHandle<()>),
    Lines(Plain<std::io::Stderr>),
    Closed,
}

impl Dashboard {
    /// A dashboard that raises `stop` when the user asks to stop.
    pub fn new(stop: Arc<AtomicBool>) -> Self {
        Self { stop, screen: Screen::Waiting, notes: Vec::new() }
    }

    fn open(&mut self, event: &Event) {
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let drawing = if terminal && !KILLED.load(Ordering::Relaxed) { self.draw(event) } else { None };
        self.screen = drawing.unwrap_or_else(|| Screen::Lines(Plain::new(std::io::stderr())));
    }

    /// Begins to draw, unless somebody holds standard output locked: the renderer would wait for ever.
    fn draw(&self, event: &Event) -> Option<Screen> {
        let (events, heard) = channel();
        let (ready, is_ready) = sync_channel(0);
        let (first, stop) = (event.clone(), Arc::clone(&self.stop));
        let thread = std::thread::Builder::new().name(DRAWING.to_owned()).spawn(move || {
            drop(std::io::stdout().lock());
            if ready.send(()).is_ok() {
                keep_drawing(&first, &heard, &stop);
            }
        });
        is_ready.recv_timeout(3 * LOOK_EVERY).ok()?;
        Some(Screen::Drawing(events, thread.ok()?))
    }

    fn close(&mut self) {
        if let Screen::Drawing(events, drawing) = std::mem::replace(&mut self.screen, Screen::Closed) {
            drop(events);
            let _ = drawing.join();
        }
        for note in self.notes.drain(..) {
            let _ = writeln!(std::io::stderr(), "note: {note}");
        }
    }
}

impl Listener for Dashboard {
    fn hear(&mut self, event: &Event) {
        if matches!((&self.screen, event), (Screen::Waiting, Event::Started { .. })) {
            self.open(event);
        }
        match &mut self.screen {
            Screen::Drawing(events, _) => {
                if let Event::Noted { text } = event {
                    self.notes.push(text.clone());
                }
                // The other end is gone when the user closed the screen: nothing is left to show.
                let _ = events.send(event.clone());
            }
            Screen::Lines(plain) => plain.hear(event),
            Screen::Waiting | Screen::Closed => {}
        }
        if matches!(event, Event::Ended { .. }) {
            self.close();
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.close();
    }
}

/// Draws until the events end or the run is to stop. Runs on a thread of its own, because the renderer
/// panics when the user chooses to kill the run: here that ends the drawing, and the run stops as on Ctrl-C.
fn keep_drawing(started: &Event, events: &Receiver<Event>, stop: &AtomicBool) {
    let close = Arc::new(AtomicBool::new(false));
    let hook: Hook = Arc::from(take_hook());
    set_hook(closing_first(Arc::clone(&close), Arc::clone(&hook)));
    if catch_unwind(AssertUnwindSafe(|| draw(started, events, stop, &close))).is_err() {
        KILLED.store(true, Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
    }
    // After a kill the renderer's own hook is left behind, which would swallow every later panic.
    set_hook(Box::new(move |panic| hook(panic)));
    if stop.load(Ordering::Relaxed) {
        let _ = writeln!(std::io::stderr(), "stopping: the step under way is finished and saved first");
    }
}

type Hook = Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// What is done when any thread panics while the screen is drawn: the screen is closed, and only then does
/// `hook` say what happened. The renderer, whose own hook comes before this one, leaves its screen but goes
/// on drawing, all over the message; so its screen is entered again for it to leave in good order.
fn closing_first(close: Arc<AtomicBool>, hook: Hook) -> Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync> {
    Box::new(move |panic| {
        let thread = std::thread::current();
        if !matches!(thread.name(), Some(DRAWING | RENDERING)) {
            close.store(true, Ordering::Relaxed);
            let mut screen = std::io::stdout();
            let _ = screen.write_all(ALTERNATE_SCREEN).and_then(|()| screen.flush());
            // Not until it is closed: whoever closes it wants to take back this very hook.
            std::thread::sleep(3 * LOOK_EVERY);
        }
        hook(panic);
    })
}

fn draw(started: &Event, events: &Receiver<Event>, stop: &AtomicBool, close: &AtomicBool) {
    let Event::Started { title, examples, step, steps_per_epoch, total_steps, .. } = started else { return };
    let interrupter = Interrupter::new();
    let done = step / (*steps_per_epoch).max(1);
    let renderer = TuiMetricsRendererWrapper::new(interrupter.clone(), Some(done as usize));
    let mut feed = Feed::start(renderer, title, *examples as u64, *step, *steps_per_epoch, *total_steps);
    loop {
        match events.recv_timeout(LOOK_EVERY) {
            Ok(event) => feed.show(&event),
            Err(RecvTimeoutError::Timeout) => feed.refresh(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        interrupt_key::enable();
        if interrupter.should_stop() {
            stop.store(true, Ordering::Relaxed);
        }
        if stop.load(Ordering::Relaxed) || close.load(Ordering::Relaxed) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_and_nothing_is_stopped_before_the_run_begins() {
        let stop = Arc::new(AtomicBool::new(false));
        let mut dashboard = Dashboard::new(Arc::clone(&stop));
        dashboard.hear(&Event::Saved { step: 1, path: "checkpoint".into() });
        assert!(matches!(dashboard.screen, Screen::Waiting));
        dashboard.hear(&Event::Ended { reason: "finished".to_owned(), step: 1, seconds: 0.0 });
        drop(dashboard);
        assert!(!stop.load(Ordering::Relaxed));
    }
}
