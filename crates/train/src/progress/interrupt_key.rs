//! Ctrl-C while a terminal is in raw mode.

/// Makes Ctrl-C interrupt the process again. The renderer puts the terminal into raw mode, in which the key
/// does nothing, and would leave people who know no other way to stop a program without one. Whatever else
/// raw mode is stays, and so does a terminal that is not in it. Only on Unix.
pub(super) fn enable() {
    #[cfg(unix)]
    {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let terminal = std::io::stdin();
        let Ok(mut modes) = tcgetattr(&terminal) else { return };
        if !modes.local_modes.intersects(LocalModes::ISIG | LocalModes::ICANON) {
            modes.local_modes.insert(LocalModes::ISIG);
            // Refused, the key stays dead, and `q` still works.
            let _ = tcsetattr(&terminal, OptionalActions::Now, &modes);
        }
    }
}
