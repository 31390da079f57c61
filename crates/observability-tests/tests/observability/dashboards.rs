//! The dashboards' form: layout, units, legends, descriptions, variables.

use std::collections::BTreeSet;

use crate::grafana::{Dashboard, GridPos, Panel, dashboards};

/// Grafana's identifiers of the units used here.
const UNITS: [&str; 6] = ["short", "s", "bytes", "percentunit", "reqps", "ops"];
const COLUMNS: u32 = 24;
const TITLES: [&str; 5] = [
    "Messaging Platform - Application Overview",
    "Messaging Platform - Delivery and Operators",
    "Messaging Platform - Money and Reliability",
    "Messaging Platform - RabbitMQ Overview",
    "Messaging Platform - Runtime",
];

fn overlap(one: GridPos, other: GridPos) -> bool {
    one.x < other.x + other.w && other.x < one.x + one.w && one.y < other.y + other.h && other.y < one.y + one.h
}

#[test]
fn the_dashboards_are_the_promised_ones() {
    let dashboards = dashboards();
    let titles: BTreeSet<_> = dashboards.iter().map(|dashboard| dashboard.title.as_str()).collect();
    assert_eq!(titles, BTreeSet::from(TITLES));
    let uids: BTreeSet<_> = dashboards.iter().map(|dashboard| dashboard.uid.as_str()).collect();
    assert_eq!(uids.len(), dashboards.len(), "a uid is taken twice: {uids:?}");
    for Dashboard { uid, title, description, schema_version, graph_tooltip, refresh, tags, .. } in &dashboards {
        assert!(uid.len() <= 40 && uid.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{title}: uid {uid}");
        assert!((39..=42).contains(schema_version), "{title}: schema {schema_version}");
        assert!(!description.is_empty() && *graph_tooltip <= 2 && refresh == "30s", "{title}");
        assert_eq!(tags, &["messaging-platform"], "{title}");
    }
}

#[test]
fn panels_lie_beside_each_other() {
    for dashboard in dashboards() {
        let title = &dashboard.title;
        let ids: BTreeSet<_> = dashboard.panels.iter().map(Panel::id).collect();
        assert_eq!(ids.len(), dashboard.panels.len(), "{title}: an id is taken twice");
        for (index, panel) in dashboard.panels.iter().enumerate() {
            let place = panel.grid_pos();
            assert!(place.w > 0 && place.h > 0 && place.x + place.w <= COLUMNS, "{title}: {place:?}");
            for other in &dashboard.panels[index + 1..] {
                assert!(!overlap(place, other.grid_pos()), "{title}: {} and {} overlap", panel.id(), other.id());
            }
            if let Panel::Row(row) = panel {
                assert!(!row.title.is_empty() && !row.collapsed && row.panels.is_empty(), "{title}: {row:?}");
                assert_eq!((place.x, place.w, place.h), (0, COLUMNS, 1), "{title}: {}", row.title);
            }
        }
    }
}

#[test]
fn overlaps_are_found() {
    let at = |x, y| GridPos { x, y, w: 12, h: 8 };
    assert!(overlap(at(0, 0), at(11, 7)) && overlap(at(11, 7), at(0, 0)) && overlap(at(0, 0), at(0, 0)));
    assert!(!overlap(at(0, 0), at(12, 0)) && !overlap(at(0, 0), at(0, 8)));
}

#[test]
fn every_panel_says_what_it_shows() {
    for dashboard in dashboards() {
        let mut titles = BTreeSet::new();
        for panel in dashboard.views() {
            let name = format!("{}: {}", dashboard.title, panel.title);
            assert!(titles.insert(panel.title.to_owned()), "{name} is there twice");
            assert!(panel.description.ends_with('.') && panel.description.len() > 15, "{name} has no description");
            assert!(UNITS.contains(&panel.unit), "{name} has the unit {}", panel.unit);
            assert!(panel.overrides.is_empty(), "{name} has overrides");
            let steps: Vec<_> = panel.steps.iter().map(|step| step.value).collect();
            assert!(steps[0].is_none() && steps[1..].iter().all(Option::is_some), "{name}: {steps:?}");
            assert!(steps.is_sorted_by(|one, other| one.is_none() || one < other), "{name}: {steps:?}");
        }
    }
}

#[test]
fn every_query_is_labelled_and_goes_to_the_chosen_data_source() {
    for dashboard in dashboards() {
        for panel in dashboard.views() {
            let name = format!("{}: {}", dashboard.title, panel.title);
            assert!(!panel.targets.is_empty(), "{name} has no query");
            let ids: BTreeSet<_> = panel.targets.iter().map(|target| target.ref_id.as_str()).collect();
            assert_eq!(ids.len(), panel.targets.len(), "{name}: {ids:?}");
            for target in panel.targets {
                for source in [&target.datasource, panel.datasource] {
                    assert_eq!((source.kind.as_str(), source.uid.as_str()), ("prometheus", "${datasource}"), "{name}");
                }
                assert_eq!(target.editor_mode, "code", "{name}");
                assert_ne!(target.range, target.instant, "{name}: a query is for a range or for an instant");
                assert!(!target.legend_format.is_empty(), "{name}: {} has no legend", target.expr);
                // Grafana fits this one to the scrape interval and the width of the panel.
                let fits = !target.expr.contains("rate(") || target.expr.contains("[$__rate_interval]");
                assert!(fits, "{name}: {}", target.expr);
            }
        }
    }
}

#[test]
fn every_variable_is_defined_and_used() {
    for dashboard in dashboards() {
        let title = &dashboard.title;
        let variables = &dashboard.templating.list;
        assert_eq!((variables[0].name.as_str(), variables[0].kind.as_str()), ("datasource", "datasource"), "{title}");
        assert_eq!(variables[0].query, "prometheus", "{title}");
        assert!(variables.iter().any(|variable| variable.name == "instance"), "{title} cannot be narrowed down");
        let queries: Vec<_> =
            dashboard.views().flat_map(|panel| panel.targets.iter().map(|t| t.expr.clone())).collect();
        for variable in &variables[1..] {
            let name = &variable.name;
            assert!(queries.iter().any(|query| query.contains(&format!("${name}"))), "{title}: {name} is not used");
            assert_eq!(variable.kind, "query", "{title}: {name}");
            assert!(
                variable.datasource.as_ref().is_some_and(|source| source.uid == "${datasource}"),
                "{title}: {name}"
            );
            assert_eq!(variable.query["query"].as_str(), variable.definition.as_deref(), "{title}: {name}");
            assert!(!variable.label.is_empty(), "{title}: {name}");
        }
        let known: BTreeSet<_> = variables.iter().map(|variable| variable.name.as_str()).collect();
        for query in &queries {
            for used in query.split('$').skip(1) {
                let name: String = used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let built_in = ["__rate_interval", "__range"].contains(&name.as_str());
                assert!(built_in || known.contains(name.as_str()), "{title}: ${name} is not defined");
            }
        }
    }
}
