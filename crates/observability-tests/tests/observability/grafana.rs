//! The part of Grafana's dashboard schema that the dashboards use, as strict types: a field that is not here, a missing
//! one or one of another type is an error. Grafana 11 and 12 read this schema (version 39 to 42).

mod options;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::repository;
use options::{
    BarGaugeOptions, StatOptions, StateTimelineCustom, StateTimelineOptions, TimeseriesCustom, TimeseriesOptions,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "fields that no test reads still say what the schema is")]
pub(crate) struct Dashboard {
    pub(crate) uid: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    pub(crate) schema_version: u32,
    version: u32,
    editable: bool,
    /// 0 nothing, 1 crosshair, 2 tooltip shared by all panels.
    pub(crate) graph_tooltip: u8,
    fiscal_year_start_month: u8,
    timezone: String,
    week_start: String,
    live_now: bool,
    pub(crate) refresh: String,
    time: TimeRange,
    timepicker: BTreeMap<String, Value>,
    annotations: List<Annotation>,
    pub(crate) templating: List<Variable>,
    links: Vec<Link>,
    pub(crate) panels: Vec<Panel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields that no test reads still say what the schema is")]
struct TimeRange {
    from: String,
    to: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List<T> {
    pub(crate) list: Vec<T>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataSource {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) uid: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "fields that no test reads still say what the schema is")]
pub(crate) struct Annotation {
    name: String,
    datasource: DataSource,
    enable: bool,
    hide: bool,
    icon_color: String,
    built_in: Option<u8>,
    #[serde(rename = "type")]
    kind: Option<String>,
    pub(crate) expr: Option<String>,
    title_format: Option<String>,
    text_format: Option<String>,
    step: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, clippy::struct_excessive_bools, reason = "the schema has these fields, read or not")]
struct Link {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    tags: Vec<String>,
    as_dropdown: bool,
    include_vars: bool,
    keep_time: bool,
    target_blank: bool,
    icon: String,
    tooltip: String,
    url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "fields that no test reads still say what the schema is")]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) label: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) datasource: Option<DataSource>,
    pub(crate) definition: Option<String>,
    /// A text for a data source, an object for a query.
    pub(crate) query: Value,
    /// 0 never, 1 when the dashboard is loaded, 2 when the time range changes.
    refresh: u8,
    regex: String,
    sort: Option<u8>,
    multi: bool,
    include_all: bool,
    all_value: Option<String>,
    pub(crate) current: Current,
    options: Vec<Value>,
    hide: u8,
    skip_url_sync: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields that no test reads still say what the schema is")]
pub(crate) struct Current {
    selected: bool,
    text: Value,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GridPos {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) w: u32,
    pub(crate) h: u32,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Panel {
    Row(Row),
    Timeseries(Graph<TimeseriesOptions, TimeseriesCustom>),
    Stat(Graph<StatOptions, Nothing>),
    Bargauge(Graph<BarGaugeOptions, Nothing>),
    StateTimeline(Graph<StateTimelineOptions, StateTimelineCustom>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) id: u32,
    pub(crate) title: String,
    pub(crate) collapsed: bool,
    pub(crate) grid_pos: GridPos,
    /// Only a collapsed row has its panels inside.
    pub(crate) panels: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "fields that no test reads still say what the schema is")]
pub(crate) struct Graph<Options, Custom> {
    pub(crate) id: u32,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) datasource: DataSource,
    pub(crate) grid_pos: GridPos,
    pub(crate) field_config: FieldConfig<Custom>,
    options: Options,
    pub(crate) targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Target {
    pub(crate) ref_id: String,
    pub(crate) datasource: DataSource,
    pub(crate) editor_mode: String,
    pub(crate) expr: String,
    pub(crate) legend_format: String,
    pub(crate) range: bool,
    pub(crate) instant: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldConfig<Custom> {
    pub(crate) defaults: FieldDefaults<Custom>,
    pub(crate) overrides: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields that no test reads still say what the schema is")]
pub(crate) struct FieldDefaults<Custom> {
    pub(crate) unit: String,
    color: Color,
    mappings: Vec<Mapping>,
    pub(crate) thresholds: Thresholds,
    decimals: Option<u8>,
    min: Option<f64>,
    max: Option<f64>,
    custom: Option<Custom>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields that no test reads still say what the schema is")]
struct Color {
    mode: ColorMode,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ColorMode {
    PaletteClassic,
    Thresholds,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, tag = "type", rename_all = "lowercase")]
#[expect(dead_code, reason = "fields that no test reads still say what the schema is")]
enum Mapping {
    Value { options: BTreeMap<String, MappedTo> },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields that no test reads still say what the schema is")]
struct MappedTo {
    text: String,
    color: String,
    index: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields that no test reads still say what the schema is")]
pub(crate) struct Thresholds {
    mode: ThresholdsMode,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ThresholdsMode {
    Absolute,
}

/// From this value up; the first step has none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields that no test reads still say what the schema is")]
pub(crate) struct Step {
    color: String,
    pub(crate) value: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// What all panels but rows have.
pub(crate) struct View<'a> {
    pub(crate) id: u32,
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    pub(crate) datasource: &'a DataSource,
    pub(crate) grid_pos: GridPos,
    pub(crate) unit: &'a str,
    pub(crate) steps: &'a [Step],
    pub(crate) overrides: &'a [Value],
    pub(crate) targets: &'a [Target],
}

impl<O, C> Graph<O, C> {
    fn view(&self) -> View<'_> {
        View {
            id: self.id,
            title: &self.title,
            description: &self.description,
            datasource: &self.datasource,
            grid_pos: self.grid_pos,
            unit: &self.field_config.defaults.unit,
            steps: &self.field_config.defaults.thresholds.steps,
            overrides: &self.field_config.overrides,
            targets: &self.targets,
        }
    }
}

impl Panel {
    /// `None` for a row.
    pub(crate) fn view(&self) -> Option<View<'_>> {
        match self {
            Self::Row(_) => None,
            Self::Timeseries(graph) => Some(graph.view()),
            Self::Stat(graph) => Some(graph.view()),
            Self::Bargauge(graph) => Some(graph.view()),
            Self::StateTimeline(graph) => Some(graph.view()),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        match self {
            Self::Row(row) => row.id,
            other => other.view().expect("no row").id,
        }
    }

    pub(crate) fn grid_pos(&self) -> GridPos {
        match self {
            Self::Row(row) => row.grid_pos,
            other => other.view().expect("no row").grid_pos,
        }
    }
}

impl Dashboard {
    pub(crate) fn annotations(&self) -> impl Iterator<Item = &Annotation> {
        self.annotations.list.iter()
    }

    /// All panels but rows.
    pub(crate) fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.panels.iter().filter_map(Panel::view)
    }
}

/// Every dashboard of the repository.
pub(crate) fn dashboards() -> Vec<Dashboard> {
    let files = repository::files("observability/grafana/dashboards", "json");
    let parse = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).expect("a readable file");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.iter().map(parse).collect()
}
