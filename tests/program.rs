//! The `ansatz` program, run in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A small experiment on the embedded digits: seconds in an unoptimized build.
pub(crate) const SMALL: &str = "
title = 'a small one'
seed = 7
data = { kind = 'image', source = 'digits', augment = { shift = 1 }, stem = { patches = { size = 4 } } }
backbone = { kind = 'stack', width = 16, depth = 2, dropout = 0.1, pattern = [{ kind = 'attention', heads = 2 }] }
task = { kind = 'classify' }
[train]
epochs = 2
batch_size = 64
optimizer = { kind = 'adamw', learning_rate = 3e-3 }
";

/// The program with a folder of its own, removed in the end.
pub(crate) struct Program {
    folder: TempDir,
}

/// What a run of the program said.
pub(crate) struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ansatz"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("ANSATZ_DATA", self.folder.path().join("data"))
            .env("NO_COLOR", "1")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null());
        command
    }

    /// Runs to the end. The folder's own path reads `FOLDER` in what it says.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("the program starts");
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("the program prints text");
            text.replace(&self.folder.path().display().to_string(), "FOLDER")
        };
        Said { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// Runs to the end and must succeed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?} said\n{}\n{}", said.out, said.err);
        said.out
    }

    /// Trains [`SMALL`], with settings put over it, into the folder `run`.
    pub(crate) fn train_small(&self, run: &str, settings: &[&str]) {
        self.write("small.toml", SMALL);
        let mut arguments = vec!["train", "small.toml", "--out", run, "--quiet"];
        for setting in settings {
            arguments.extend(["--set", *setting]);
        }
        self.succeed(&arguments);
    }

    /// What `ansatz inspect` says of a config or run.
    pub(crate) fn inspect(&self, subject: &str) -> serde_json::Value {
        json(&self.succeed(&["inspect", subject, "--json"]))
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn read_json(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&self.read(name)).expect("JSON")
    }
}

/// What the program printed as JSON.
pub(crate) fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The root folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
