//! The documents of settings, held against the code that reads them.

use std::collections::BTreeMap;

use deploy_tests::{read, repository_root, service_variables};
use settings::{Asked, Source};

/// Their defaults depend on the process, or on the machine.
const NO_FIXED_DEFAULT: [&str; 3] = ["APP_NAME", "ACCEPT_LANES", "WORKER_STATE_LANES"];

/// What may hold a secret is read by its own parser, which words what it accepts in an error only, or has the default.
const READ_BY_A_PARSER: [&str; 4] = ["DATABASE_URL", "OPERATORS", "OTEL_EXPORTER_OTLP_ENDPOINT", "RABBIT_URI"];

/// Read by the OpenTelemetry SDK.
const NOT_OURS: [&str; 1] = ["OTEL_TRACES_SAMPLER"];

/// A variable as a document has it.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    default: Option<String>,
    accepted: String,
}

/// All that each service asks for, where nothing is set.
fn asked() -> BTreeMap<&'static str, Vec<Asked>> {
    let of = |load: &dyn Fn(&Source)| {
        let source = Source::from_pairs::<&str, &str>([]);
        load(&source);
        source.asked()
    };
    BTreeMap::from([
        ("api-gateway", of(&|source| drop(api_gateway::Settings::load(source).expect("the defaults are accepted")))),
        ("outbox-relay", of(&|source| drop(outbox_relay::Settings::load(source).expect("the defaults are accepted")))),
        (
            "delivery-worker",
            of(&|source| drop(delivery_worker::Settings::load(source).expect("the defaults are accepted"))),
        ),
    ])
}

/// The rows of docs/settings.md by section and name.
fn documented() -> BTreeMap<(String, String), Told> {
    let text = read(&repository_root().join("docs/settings.md")).expect("it is there");
    let (mut section, mut rows) = (String::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut section);
        }
        let cells: Vec<_> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        let name = cells[0].strip_prefix('`').and_then(|name| name.strip_suffix('`'));
        if let (Some(name), [_, default, accepted, _]) = (name, &cells[..]) {
            let default = (*default != "unset").then(|| default.trim_matches('`').to_owned());
            let told = Told { default, accepted: accepted.trim_matches('`').to_owned() };
            assert!(
                rows.insert((section.clone(), name.to_owned()), told).is_none(),
                "{name} stands twice in {section}"
            );
        }
    }
    rows
}

/// What a document has to say of what was asked for; where code cannot tell, what it says already.
fn expected(asked: &Asked, told: &Told) -> Told {
    let name = asked.name.as_str();
    let words = asked.accepted.as_deref().unwrap_or("any text");
    let accepted = words.strip_prefix("a whole number from ").unwrap_or(words).to_owned();
    let is_parsed = READ_BY_A_PARSER.contains(&name);
    Told {
        default: match name {
            "RABBIT_URI" => told.default.clone(),
            name if NO_FIXED_DEFAULT.contains(&name) => None,
            _ => asked.default.clone(),
        },
        accepted: if is_parsed { told.accepted.clone() } else { accepted },
    }
}

#[test]
fn every_setting_is_documented_with_its_default_and_what_is_accepted() {
    let mut documented = documented();
    documented.retain(|(section, name), _| section != "standalone" && !NOT_OURS.contains(&name.as_str()));
    let mut asked_for = Vec::new();
    for (service, asked) in asked() {
        for asked in asked {
            let name = asked.name.clone();
            let row = ["All", service].map(|section| (section.to_owned(), name.clone()));
            let row = row.into_iter().find(|row| documented.contains_key(row));
            let row = row.unwrap_or_else(|| panic!("docs/settings.md has no {name} of {service}"));
            let told = &documented[&row];
            assert_eq!(told, &expected(&asked, told), "{name} of {service} in docs/settings.md");
            asked_for.push(row);
        }
    }
    documented.retain(|row, _| !asked_for.contains(row));
    assert!(documented.is_empty(), "nobody reads {documented:?}");
}

#[test]
fn the_example_of_an_environment_says_the_same() {
    let text = read(&repository_root().join(".env.example")).expect("it is there");
    let lines: Vec<_> = text.lines().collect();
    let services: Vec<_> = service_variables().expect("it is there");
    for ((section, name), told) in documented() {
        if section == "standalone" {
            continue;
        }
        let assignment = format!("# {name}={}", told.default.unwrap_or_default());
        let ends = lines.iter().enumerate().filter(|(_, line)| **line == assignment).map(|(place, _)| place);
        let comments = ends.map(|end| {
            let is_comment = |line: &&&str| line.starts_with("# ") && !line.contains("---");
            let above = lines[..end].iter().rev().take_while(is_comment).take_while(|line| !is_assignment(line));
            let mut above: Vec<_> = above.map(|line| line.trim_start_matches("# ")).collect();
            above.reverse();
            above.join(" ")
        });
        let comments: Vec<_> = comments.collect();
        let says = format!("({})", told.accepted);
        assert!(comments.iter().any(|comment| comment.contains(&says)), "{assignment} {says}: {comments:?}");
        assert!(services.contains(&name), "{name} is a service's");
    }
}

/// Such as `# DB_PORT=3306`.
fn is_assignment(line: &str) -> bool {
    let name = line.trim_start_matches("# ").split('=').next().unwrap_or_default();
    line.contains('=') && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}
