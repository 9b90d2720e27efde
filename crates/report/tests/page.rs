//! Pages of whole, partial, damaged and hostile run folders.

mod made_up;

use std::fs;

use ansatz_run::RunFolder;
use tempfile::TempDir;

/// A run folder of these files.
fn folder(files: &[(&str, &str)]) -> (TempDir, RunFolder) {
    let temporary = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(temporary.path().join(name), text).unwrap();
    }
    let folder = RunFolder::open(temporary.path()).unwrap();
    (temporary, folder)
}

fn page(files: &[(&str, &str)]) -> String {
    ansatz_report::render(&folder(files).1).unwrap()
}

/// What a reader sees: the text without tags and style.
fn text(page: &str) -> String {
    let body = page.split_once("<body>").unwrap().1;
    let texts = body.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text).trim());
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" | ")
}

const EVALUATED: &str = r#"{"event":"evaluated","part":"test","step":2,"epoch":1.0,"best":false,"scores":{"examples":4,"primary":"accuracy","higher_is_better":true,"values":{"accuracy":0.75,"loss":0.5},"confusion":{"names":["cat","<b>dog</b>"],"counts":[[1,1],[0,2]]}}}"#;

const SUMMARY: &str = r#"{"title":"Cats & <script>alert(1)</script>","seed":3,"device":"cpu","parameters":1234,
    "epochs":1.0,"steps":2,"seconds":4.5,"examples_per_second":12.5,"ended":"stopped early","best_step":2,
    "test":{"examples":4,"accuracy":0.75,"loss":0.5},
    "environment":{"version":"0.1.0","platform":"linux x86_64","processor":"P","threads":2,"debug_build":true}}"#;

#[test]
fn a_finished_run_shows_all_it_has() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = made_up::fill(temporary.path());
    let path = ansatz_report::write(&folder).unwrap();
    assert_eq!(path, temporary.path().join("report.html"));
    let page = fs::read_to_string(path).unwrap();
    for section in ["training", "confusion", "classes", "mistakes", "layers", "config", "environment"] {
        assert!(page.contains(&format!("<section id=\"{section}\">")), "{section}");
    }
    assert_eq!(page.matches("<svg").count(), 4);
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 12);
    let text = text(&page);
    assert!(
        text.contains("Test accuracy | 97.11\u{202f}% | 450 examples, 95 % between 95.55 and 98.56"),
        "{text}"
    );
    assert!(text.contains("right | 3 | 0.5\u{202f}% | said | 8 | 98.5\u{202f}%"), "{text}");
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let temporary = tempfile::tempdir().unwrap();
    let page = ansatz_report::render(&made_up::fill(temporary.path())).unwrap();
    assert!(page.contains("default-src 'none'"));
    for reference in ["src=\"", "href=\"", "url("] {
        let foreign = page.split(reference).skip(1).find(|rest| !rest.starts_with("data:"));
        assert_eq!(foreign.map(|rest| &rest[..40]), None);
    }
}

#[test]
fn a_small_run_in_words() {
    let files = [
        ("config.toml", "seed = 3\n\n[data]\nkind = \"image\"\n"),
        ("summary.json", SUMMARY),
        ("metrics.jsonl", EVALUATED),
    ];
    let expected = "stopped early | data | image | Cats &amp; &lt;script&gt;alert(1)&lt;/script&gt; | \
        Test accuracy | 75.00\u{202f}% | 4 examples | \
        Test loss | 0.5 | nats | Parameters | 1,234 | trainable | Training time | 4.5 s | 1 epochs, 2 steps | \
        Throughput | 12.5 | training examples per second | Device | cpu | trained on | Seed | 3 | of all randomness | \
        Weights kept | step 2 | of 2 | \
        The program was built without optimization: times say nothing about its speed. | \
        Confusion | Rows are what was right, columns what was said, on the test part. | Blue | \
        counts right answers, stronger where more of the class were right; | orange | \
        counts mistakes, stronger where there are more. | cat | &lt;b&gt;dog&lt;/b&gt; | \
        cat | 1 | 1 | &lt;b&gt;dog&lt;/b&gt; | · | 2 | \
        Classes | Accuracy is the share of a class that was recognized; \
        precision the share of its mentions that were right. | \
        Class | Accuracy | Precision | Examples | Most often taken for | \
        cat | 50.0\u{202f}% | 100.0\u{202f}% | 2 | &lt;b&gt;dog&lt;/b&gt; | 1 time | \
        &lt;b&gt;dog&lt;/b&gt; | 100.0\u{202f}% | 66.7\u{202f}% | 2 | – | \
        Config | Every value that was used. | seed | = 3 | [data] | kind | = &quot;image&quot; | \
        Environment | Ansatz | 0.1.0 | Build | debug, not optimized | Platform | linux x86_64 | \
        Processor | P | Threads | 2 | Written by Ansatz 0.1.0. This page needs no network.";
    assert_eq!(text(&page(&files)), expected);
}

#[test]
fn everything_from_data_is_escaped() {
    let mistakes = r#"[{"index":0,"target":"<i>","predictions":[["\"><img src=x>",0.9]],"loss":null,"exhibit":"../x.png"}]"#;
    let config = "title = '<script>'\n# <script>\n";
    let page = page(&[("config.toml", config), ("mistakes.json", mistakes), ("metrics.jsonl", EVALUATED)]);
    for hostile in ["<script", "<i>", "<img", "<b>dog"] {
        assert!(!page.contains(hostile), "{hostile}");
    }
    assert!(page.contains("<title>&lt;script&gt;</title>"));
    assert!(text(&page).contains("not pictured"));
}

#[test]
fn a_run_that_goes_on_shows_what_there_is() {
    let page = page(&[("config.toml", "title = \"Half way\"\n"), ("metrics.jsonl", "")]);
    let text = text(&page);
    assert!(text.starts_with("not ended yet | Half way | This run has not ended"), "{text}");
    for section in ["training", "confusion", "mistakes", "layers", "environment"] {
        assert!(!page.contains(&format!("<section id=\"{section}\">")), "{section}");
    }
}

#[test]
fn without_test_scores_the_validation_scores_lead() {
    let summary = SUMMARY.replace("\"test\":{", "\"validation\":{");
    let text = text(&page(&[("config.toml", ""), ("summary.json", &summary)]));
    assert!(text.contains("Validation accuracy | 75.00\u{202f}%"), "{text}");
    assert!(text.contains("There are no test scores: "), "{text}");
}

#[test]
fn damaged_lines_are_passed_over_and_counted() {
    let step = r#"{"event":"step","step":1,"epoch":0.5,"loss":2.3,"learning_rate":0.1,"gradient_norm":1.0}"#;
    let metrics = format!("{step}\n{}\n{{\"event\":\"step\",\"st", step.replace(":2.3", ":null"));
    let page = page(&[("config.toml", ""), ("metrics.jsonl", &metrics)]);
    assert!(text(&page).contains("1 line of metrics.jsonl could not be read and is left out."));
    assert_eq!(page.matches("<svg").count(), 3);
}

#[test]
fn a_damaged_file_is_named() {
    let (_temporary, folder) = folder(&[("config.toml", ""), ("mistakes.json", "[{")]);
    let error = ansatz_report::render(&folder).unwrap_err().to_string();
    assert!(error.contains("mistakes.json: the file is damaged"), "{error}");
    assert!(error.contains("to do:"), "{error}");
}
