//! The documents of settings, held against the code that reads them.

mod compose;
mod documented;
mod example;

use std::collections::BTreeMap;

use settings::{Asked, Source};

use documented::{Told, documented};

/// Their defaults depend on the process, or on the machine.
const NO_FIXED_DEFAULT: [&str; 4] = ["APP_NAME", "RUNTIME_THREADS", "ACCEPT_LANES", "WORKER_STATE_LANES"];

/// What may hold a secret is read by its own parser, which words what it accepts in an error only, or has the default.
const READ_BY_A_PARSER: [&str; 3] = ["DATABASE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT", "RABBIT_URI"];

/// Read by the OpenTelemetry SDK.
const NOT_OURS: [&str; 1] = ["OTEL_TRACES_SAMPLER"];

/// Sections of all services.
const COMMON: [&str; 5] = ["All", "Callbacks", "Database", "RabbitMQ", "Receipts"];

/// All that each service asks for, where nothing is set.
fn asked() -> BTreeMap<&'static str, Vec<Asked>> {
    let of = |load: &dyn Fn(&Source)| {
        let source = Source::from_pairs::<&str, &str>([]);
        load(&source);
        service_kit::runtime_threads(&source).expect("the default is accepted");
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

/// What a document has to say of what was asked for; where code cannot tell, what it says already.
fn expected(asked: &Asked, told: &Told) -> Told {
    let name = asked.name.as_str();
    let words = asked.accepted.as_deref().unwrap_or("any text");
    let accepted = words.strip_prefix("a whole number from ").unwrap_or(words).to_owned();
    let is_parsed = READ_BY_A_PARSER.contains(&name);
    Told {
        section: told.section.clone(),
        name: asked.name.clone(),
        default: match name {
            "RABBIT_URI" => told.default.clone(),
            name if NO_FIXED_DEFAULT.contains(&name) => None,
            _ => asked.default.clone(),
        },
        accepted: if is_parsed { told.accepted.clone() } else { accepted },
        meaning: told.meaning.clone(),
    }
}

#[test]
fn every_setting_is_documented_with_its_default_and_what_is_accepted() {
    let mut documented: BTreeMap<_, _> =
        documented().into_iter().map(|told| ((told.section.clone(), told.name.clone()), told)).collect();
    documented.retain(|(section, name), _| section != "standalone" && !NOT_OURS.contains(&name.as_str()));
    let mut asked_for = Vec::new();
    for (service, asked) in asked() {
        for asked in asked {
            let name = asked.name.clone();
            let mut rows = COMMON.into_iter().chain([service]).map(|section| (section.to_owned(), name.clone()));
            let row = rows.find(|row| documented.contains_key(row));
            let row = row.unwrap_or_else(|| panic!("docs/settings.md has no {name} of {service}"));
            let told = &documented[&row];
            assert_eq!(told, &expected(&asked, told), "{name} of {service} in docs/settings.md");
            asked_for.push(row);
        }
    }
    documented.retain(|row, _| !asked_for.contains(row));
    assert!(documented.is_empty(), "nobody reads {documented:?}");
}
