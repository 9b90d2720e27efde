//! The configs that come with the workspace.

use std::path::{Path, PathBuf};

use ansatz_run::Experiment;

use crate::program::workspace;

fn configs() -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder of configs");
        entries.filter_map(Result::ok).map(|entry| entry.path()).collect()
    };
    let top = list(&workspace().join("configs"));
    let folders = top.iter().filter(|path| path.is_dir() && !path.ends_with("compress"));
    let inner = folders.flat_map(|folder| list(folder)).collect::<Vec<_>>();
    let all = top.into_iter().chain(inner);
    all.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

#[test]
fn every_config_is_valid_and_says_what_it_is() {
    let registry = ansatz::builtin();
    let configs = configs();
    assert!(configs.len() >= 14);
    for path in configs {
        let mut experiment = Experiment::read(&path, &[], &registry).expect("a valid config");
        ansatz_train::complete(&mut experiment).expect("valid training settings");
        assert!(!experiment.title.is_empty(), "{} has no title", path.display());
    }
}

#[test]
fn every_recipe_is_valid_and_renders_to_itself() {
    let folder = std::fs::read_dir(workspace().join("configs/compress")).expect("a folder of recipes");
    for path in folder.map(|entry| entry.expect("a recipe").path()) {
        let recipe = ansatz_recipe::Recipe::read(&path, &[]).expect("a valid recipe");
        let rendered = recipe.render().expect("TOML");
        assert_eq!(ansatz_recipe::Recipe::from_toml(&rendered, &[]).expect("what we print, we read"), recipe);
    }
}

#[test]
fn a_rendered_config_renders_to_itself() {
    let registry = ansatz::builtin();
    for path in configs() {
        let mut experiment = Experiment::read(&path, &[], &registry).expect("a valid config");
        ansatz_train::complete(&mut experiment).expect("valid training settings");
        let once = experiment.render().expect("TOML");
        let mut again = Experiment::from_toml(&once, &[], &registry).expect("what we print, we read");
        ansatz_train::complete(&mut again).expect("valid training settings");
        assert_eq!(again.render().expect("TOML"), once, "{}", path.display());
    }
}

#[test]
fn the_schema_knows_every_component() {
    let registry = ansatz::builtin();
    let schema = Experiment::schema(&registry, ansatz_train::schema());
    let text = schema.to_string();
    let kinds = (registry.mixers.entries().iter().map(|entry| entry.kind))
        .chain(registry.backbones.entries().iter().map(|entry| entry.kind))
        .chain(registry.channels.entries().iter().map(|entry| entry.kind))
        .chain(registry.data_models.entries().iter().map(|entry| entry.kind))
        .chain(registry.tasks.entries().iter().map(|entry| entry.kind));
    for kind in kinds {
        assert!(text.contains(&format!("{{\"const\":\"{kind}\"}}")), "the schema lacks {kind}");
    }
    // Every reference leads somewhere.
    for reference in text.split("\"#/$defs/").skip(1) {
        let name = reference.split('"').next().unwrap_or_default();
        assert!(schema["$defs"].get(name).is_some(), "the schema refers to {name}, which it lacks");
    }
}
