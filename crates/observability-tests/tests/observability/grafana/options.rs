//! The options of each kind of panel.

#![expect(clippy::struct_field_names, reason = "the names are the schema's")]

use serde::Deserialize;

macro_rules! schema {
    ($(struct $name:ident { $($field:ident: $type:ty),+ $(,)? })+) => { $(
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        #[expect(dead_code, reason = "no test reads these fields, they say what the schema is")]
        pub(crate) struct $name { $($field: $type),+ }
    )+ };
}

macro_rules! words {
    ($($name:ident { $($variant:ident),+ })+) => { $(
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub(crate) enum $name { $($variant),+ }
    )+ };
}

schema! {
    struct TimeseriesOptions { legend: Legend, tooltip: Tooltip }
    struct TimeseriesCustom {
        draw_style: DrawStyle,
        line_interpolation: Interpolation,
        line_width: u8,
        fill_opacity: u8,
        gradient_mode: Never,
        show_points: Showing,
        span_nulls: bool,
        stacking: Stacking,
        axis_placement: Auto,
        thresholds_style: ThresholdsStyle,
    }
    struct Stacking { mode: StackingMode, group: String }
    struct ThresholdsStyle { mode: ThresholdsStyleMode }
    struct StatOptions {
        reduce_options: ReduceOptions,
        orientation: Auto,
        text_mode: Auto,
        color_mode: StatColor,
        graph_mode: GraphMode,
        justify_mode: Auto,
        percent_change_color_mode: PercentChange,
        show_percent_change: bool,
        wide_layout: bool,
    }
    struct ReduceOptions { calcs: Vec<Calculation>, fields: String, values: bool }
    struct BarGaugeOptions {
        reduce_options: ReduceOptions,
        orientation: Orientation,
        display_mode: BarMode,
        value_mode: ValueMode,
        show_unfilled: bool,
        min_viz_height: u16,
        max_viz_height: u16,
        min_viz_width: u16,
        legend: Legend,
        name_placement: Auto,
        sizing: Auto,
    }
    struct StateTimelineOptions {
        merge_values: bool,
        show_value: Showing,
        align_value: Align,
        row_height: f64,
        legend: Legend,
        tooltip: Tooltip,
    }
    struct StateTimelineCustom { line_width: u8, fill_opacity: u8 }
    struct Legend { display_mode: LegendMode, placement: Placement, show_legend: bool, calcs: Vec<Calculation> }
    struct Tooltip { mode: TooltipMode, sort: Sort }
}

words! {
    DrawStyle { Line, Bars, Points }
    Interpolation { Linear, Smooth, StepBefore, StepAfter }
    Never { None }
    Showing { Auto, Never, Always }
    Auto { Auto }
    StackingMode { None, Normal, Percent }
    ThresholdsStyleMode { Off, Line, Area, Dashed }
    StatColor { None, Value, Background }
    GraphMode { None, Area }
    PercentChange { Standard, Inverted }
    Orientation { Auto, Horizontal, Vertical }
    BarMode { Basic, Lcd, Gradient }
    ValueMode { Color, Text, Hidden }
    Align { Left, Center, Right }
    LegendMode { List, Table, Hidden }
    Placement { Bottom, Right }
    TooltipMode { Single, Multi, None }
    Sort { None, Asc, Desc }
    Calculation { LastNotNull, Mean, Max, Min, Sum }
}
