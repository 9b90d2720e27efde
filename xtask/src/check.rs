//! The invariants that ARCHITECTURE.md states, checked.

use std::process::Command;

use crate::workspace::{Error, Member, capture, members, root, sources};

/// A rule and where it is broken.
type Broken = Vec<String>;

/// Checks every invariant.
pub(crate) fn run() -> Result<String, Error> {
    let members = members()?;
    let mut broken = Broken::new();
    architectures_see_no_data_no_training_and_not_each_other(&members, &mut broken);
    compressing_and_training_do_not_see_each_other(&members, &mut broken);
    only_device_and_ops_name_a_backend(&members, &mut broken)?;
    the_app_holds_no_tensors(&members, &mut broken);
    nobody_depends_on_the_outsider(&members, &mut broken);
    every_component_is_in_the_list(&members, &mut broken)?;
    sources_are_short_and_finished(&members, &mut broken)?;
    match broken.len() {
        0 => Ok(format!("all invariants hold over {} crates", members.len())),
        count => Err(Error::Wrong(format!("{count} broken invariants:\n  {}", broken.join("\n  ")))),
    }
}

fn architectures_see_no_data_no_training_and_not_each_other(members: &[Member], broken: &mut Broken) {
    for member in members.iter().filter(|member| member.name.starts_with("ansatz-arch-")) {
        for dependency in member.dependencies.iter().filter(|dependency| !dependency.development) {
            let name = &dependency.name;
            let barred = ["ansatz-train", "ansatz-data", "ansatz-run", "ansatz-infer", "ansatz-arch-"];
            if barred.iter().any(|barred| name.starts_with(barred)) {
                broken
                    .push(format!("{} depends on {name}: an architecture knows the seam alone", member.name));
            }
        }
    }
}

fn compressing_and_training_do_not_see_each_other(members: &[Member], broken: &mut Broken) {
    for (one, other) in [("ansatz-compress", "ansatz-train"), ("ansatz-train", "ansatz-compress")] {
        for member in members.iter().filter(|member| member.name == one) {
            if member.dependencies.iter().any(|dependency| dependency.name == other) {
                broken
                    .push(format!("{one} depends on {other}: compressing and training never see each other"));
            }
        }
    }
}

/// `device` opens backends, `ops` brings kernels for one; nobody else may know which backend runs.
fn only_device_and_ops_name_a_backend(members: &[Member], broken: &mut Broken) -> Result<(), Error> {
    const BACKENDS: [&str; 8] = ["flex", "ndarray", "wgpu", "cuda", "vulkan", "metal", "rocm", "tch"];
    let free = ["ansatz-device", "ansatz-ops"];
    for member in members.iter().filter(|member| !free.contains(&member.name.as_str())) {
        for dependency in member.dependencies.iter().filter(|dependency| dependency.name.starts_with("burn"))
        {
            if let Some(feature) =
                dependency.features.iter().find(|feature| BACKENDS.contains(&feature.as_str()))
            {
                broken.push(format!("{} asks burn for {feature}: only device names a backend", member.name));
            }
        }
        for (name, on) in &member.features {
            if on.iter().any(|feature| feature.starts_with("burn")) {
                broken.push(format!("{}: feature {name} reaches into burn: only device does", member.name));
            }
        }
        if member.name == "xtask" {
            continue;
        }
        for (path, text) in sources(&member.folder)? {
            let needle = BACKENDS.iter().find(|backend| text.contains(&format!("Device::{backend}(")));
            if let Some(backend) = needle {
                broken.push(format!("{}: opens {backend} itself: only device does", path.display()));
            }
        }
    }
    Ok(())
}

/// Logic needs tensors; a crate without burn can only call others.
fn the_app_holds_no_tensors(members: &[Member], broken: &mut Broken) {
    for member in members.iter().filter(|member| member.name == "ansatz") {
        let normal = member.dependencies.iter().filter(|dependency| !dependency.development);
        for dependency in normal.filter(|dependency| dependency.name.starts_with("burn")) {
            broken.push(format!("the app depends on {}: it holds no logic", dependency.name));
        }
    }
}

fn nobody_depends_on_the_outsider(members: &[Member], broken: &mut Broken) {
    for member in members {
        if member.dependencies.iter().any(|dependency| dependency.name == "outsider") {
            broken.push(format!("{} depends on the outsider: it must need no line of ours", member.name));
        }
    }
}

/// Every `const KIND` of a crate is printed by `ansatz list`.
fn every_component_is_in_the_list(members: &[Member], broken: &mut Broken) -> Result<(), Error> {
    let listed =
        capture(Command::new("cargo").args(["run", "--quiet", "--package", "ansatz", "--", "list"]))?;
    let prefixes = ["ansatz-arch-", "ansatz-data-", "ansatz-tasks"];
    for member in
        members.iter().filter(|member| prefixes.iter().any(|prefix| member.name.starts_with(prefix)))
    {
        for (path, text) in sources(&member.folder.join("src"))? {
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            for rest in product.split("const KIND: &'static str = \"").skip(1) {
                let kind = rest.split('"').next().unwrap_or_default();
                if !listed.lines().any(|line| line.split_whitespace().next() == Some(kind)) {
                    broken.push(format!("{}: `{kind}` is not in ansatz::builtin()", path.display()));
                }
            }
        }
    }
    Ok(())
}

fn sources_are_short_and_finished(members: &[Member], broken: &mut Broken) -> Result<(), Error> {
    const LONGEST: usize = 500;
    let leftovers = ["todo!(", "unimplemented!(", "dbg!(", "#[ignore", "allow(dead_code)"];
    for member in members.iter().filter(|member| member.name != "xtask") {
        for (path, text) in sources(&member.folder)? {
            let path = path.strip_prefix(root()).unwrap_or(&path).display();
            let lines = text.lines().count();
            if lines > LONGEST {
                broken.push(format!("{path}: {lines} lines, more than {LONGEST}: split it"));
            }
            for leftover in leftovers.iter().filter(|leftover| text.contains(**leftover)) {
                broken.push(format!("{path}: holds `{leftover}`"));
            }
        }
    }
    Ok(())
}
