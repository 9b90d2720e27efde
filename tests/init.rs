//! `ansatz init`: what it writes trains unchanged.

use crate::program::Program;

/// Two steps of the config at `config`.
fn trains(program: &Program, config: &str) {
    let out = format!("run-of-{config}");
    program.succeed(&["train", config, "--out", &out, "--quiet", "--set", "train.max_steps=2"]);
}

#[test]
fn class_folders_become_a_config_that_trains() {
    let program = Program::new();
    for (class, sheets) in [("few", ["1", "2", "3"]), ("many", ["4", "5", "6"])] {
        program.write(&format!("pets/{class}/notes.md"), "no picture");
        for each in sheets {
            let sheet = format!("pets/{class}/{each}.png");
            program.succeed(&["data", "show", "digits", "--each", each, "--out", &sheet]);
        }
    }
    let said = program.run(&["init", "pets"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("6 pictures in 2 classes: few 3, many 3"), "{}", said.out);
    assert!(said.err.contains("class few has 3 pictures"), "{}", said.err);
    trains(&program, "pets.toml");
    // A config that is there already stays as it is.
    program.write("pets.toml", "mine");
    let said = program.run(&["init", "pets"]);
    assert!(said.code == 2 && said.err.contains("there is such a file already"), "{}", said.err);
    assert_eq!(program.read("pets.toml"), b"mine");
}

#[test]
fn texts_and_pairs_become_configs_that_train() {
    let program = Program::new();
    program.write("plays/first.txt", "To be, or not to be: that is the question.\n".repeat(200));
    program.succeed(&["init", "plays", "--out", "text.toml"]);
    trains(&program, "text.toml");
    let lines: String = (0..200).map(|index| format!("{index}\tnumber {index}\n")).collect();
    program.write("numbers.tsv", lines);
    let answer = program.succeed(&["init", "numbers.tsv", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!((&answer["kind"], &answer["config"]), (&"pairs".into(), &"numbers.toml".into()));
    trains(&program, "numbers.toml");
    insta::assert_snapshot!(String::from_utf8(program.read("numbers.toml")).expect("text"));
}

#[test]
fn a_table_of_numbers_becomes_a_config_that_trains() {
    let program = Program::new();
    let rows: String =
        (0..600).map(|day| format!("{},{}\n", f64::from(day % 7) * 0.5, f64::from(day).sin())).collect();
    program.write("flow.csv", format!("cars,rain\n{rows}"));
    let said = program.run(&["init", "flow.csv"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("600 rows, 2 channels of numbers: cars, rain"), "{}", said.out);
    trains(&program, "flow.toml");
}

#[test]
fn labelled_texts_become_a_config_that_trains_and_predicts() {
    let program = Program::new();
    for (class, word) in [("ham", "meeting"), ("spam", "prize")] {
        for index in 0..30 {
            program
                .write(&format!("mails/{class}/{index}.txt"), format!("a {word} is waiting, {word} {index}"));
        }
    }
    let said = program.run(&["init", "mails"]);
    assert!(
        said.code == 0 && said.out.contains("texts of 2 classes: ham 30, spam 30"),
        "{}{}",
        said.out,
        said.err
    );
    program.succeed(&["train", "mails.toml", "--out", "run", "--quiet"]);
    assert_eq!(program.read_json("run/summary.json")["test"]["accuracy"], 1.0);
    program.write("new.txt", "Prize! Prize!");
    let answer = program.succeed(&["predict", "run", "new.txt", "--top", "1", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["predictions"][0][0], "spam");
    // A network that tells classes has nothing to write on with, whatever its backbone.
    let said = program.run(&["generate", "run", "--prompt", "win"]);
    assert!(said.code == 2 && said.err.contains("it tells classes"), "{}", said.err);
}

#[test]
fn what_nobody_recognises_is_said() {
    let program = Program::new();
    program.write("disc.iso", [0; 9]);
    let said = program.run(&["init", "disc.iso"]);
    assert!(said.code == 2 && said.err.contains("no data model recognises"), "{}", said.err);
    let said = program.run(&["init", "absent"]);
    assert!(said.code == 2 && said.err.contains("absent"), "{}", said.err);
    program.write("broken.tsv", "no tab here");
    let said = program.run(&["init", "broken.tsv"]);
    assert!(said.code == 2 && said.err.contains("line 1"), "{}", said.err);
    assert!(!program.path("broken.toml").exists());
}

#[test]
fn idx_files_become_a_config_that_trains() {
    let program = Program::new();
    let header = |dimensions: &[u32]| -> Vec<u8> {
        let sizes = dimensions.iter().flat_map(|size| size.to_be_bytes());
        [0, 0, 8, dimensions.len() as u8].into_iter().chain(sizes).collect()
    };
    let pixels: Vec<u8> = (0..60 * 8 * 8u32).map(|at| (at * 7 % 251) as u8).collect();
    program.write("letters/mine-train-images-idx3-ubyte", [header(&[60, 8, 8]), pixels].concat());
    let said = program.run(&["init", "letters"]);
    assert!(said.code == 2 && said.err.contains("`masked-patches`"), "{}", said.err);
    let labels: Vec<u8> = (0..60).map(|index| index % 3).collect();
    program.write("letters/mine-train-labels-idx1-ubyte", [header(&[60]), labels].concat());
    let said = program.run(&["init", "letters"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("60 pictures in 3 classes: 0 20, 1 20, 2 20"), "{}", said.out);
    trains(&program, "letters.toml");
}
