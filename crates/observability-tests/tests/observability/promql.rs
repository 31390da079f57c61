//! Queries, read by a real parser and held against the catalogue.

use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorSelector};

use crate::catalogue::Catalogue;

const RATES: [&str; 3] = ["rate", "increase", "irate"];

/// A parsed query.
pub(crate) struct Query(Expr);

/// By convention only names of recorded series have colons.
pub(crate) fn is_recorded(name: &str) -> bool {
    name.contains(':')
}

impl Query {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        promql_parser::parser::parse(text).map(Self)
    }

    /// The metrics it names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        selectors(&self.0).into_iter().filter_map(|selector| selector.name.as_deref())
    }

    /// Whether it looks at series of this metric with this value of a label.
    pub(crate) fn looks_at(&self, metric: &str, label: &str, value: &str) -> bool {
        let of_metric = selectors(&self.0).into_iter().filter(|selector| selector.name.as_deref() == Some(metric));
        let matches = |selector: &VectorSelector| {
            let mut matchers = selector.matchers.matchers.iter().filter(|matcher| matcher.name == label);
            matchers.all(|matcher| matcher.is_match(value))
        };
        of_metric.into_iter().any(matches)
    }

    /// The labels that its aggregations keep.
    pub(crate) fn groupings(&self) -> Vec<String> {
        let modifiers = nodes(&self.0).into_iter().filter_map(|node| match node {
            Expr::Aggregate(AggregateExpr { modifier: Some(LabelModifier::Include(labels)), .. }) => {
                Some(labels.labels.clone())
            }
            _ => None,
        });
        modifiers.flatten().collect()
    }

    /// What is wrong with it: unknown metrics, labels a metric does not have, rates of gauges, counters without a rate,
    /// quantiles without `le`.
    pub(crate) fn violations(&self, catalogue: &Catalogue) -> Vec<String> {
        let mut found = Vec::new();
        for node in nodes(&self.0) {
            match node {
                Expr::VectorSelector(selector) => check_selector(selector, catalogue, &mut found),
                Expr::MatrixSelector(matrix) => check_selector(&matrix.vs, catalogue, &mut found),
                Expr::Aggregate(aggregate) => {
                    check_labels(aggregate.modifier.as_ref(), &aggregate.expr, catalogue, &mut found);
                }
                Expr::Binary(binary) => {
                    let matching = binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref());
                    check_labels(matching, &binary.lhs, catalogue, &mut found);
                    check_labels(matching, &binary.rhs, catalogue, &mut found);
                }
                Expr::Call(call) => check_quantile(call, &mut found),
                _ => {}
            }
        }
        check_rates(&self.0, false, catalogue, &mut found);
        found
    }
}

fn children(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Aggregate(AggregateExpr { expr, param, .. }) => {
            [Some(expr.as_ref()), param.as_deref()].into_iter().flatten().collect()
        }
        Expr::Unary(unary) => vec![unary.expr.as_ref()],
        Expr::Binary(BinaryExpr { lhs, rhs, .. }) => vec![lhs.as_ref(), rhs.as_ref()],
        Expr::Paren(paren) => vec![paren.expr.as_ref()],
        Expr::Subquery(subquery) => vec![subquery.expr.as_ref()],
        Expr::Call(call) => call.args.args.iter().map(AsRef::as_ref).collect(),
        Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::Extension(_) => Vec::new(),
    }
}

fn nodes(expr: &Expr) -> Vec<&Expr> {
    let below = children(expr).into_iter().flat_map(nodes);
    [expr].into_iter().chain(below).collect()
}

fn selectors(expr: &Expr) -> Vec<&VectorSelector> {
    nodes(expr).into_iter().filter_map(selector_of).collect()
}

fn selector_of(node: &Expr) -> Option<&VectorSelector> {
    match node {
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        _ => None,
    }
}

fn check_selector(selector: &VectorSelector, catalogue: &Catalogue, found: &mut Vec<String>) {
    let Some(name) = &selector.name else {
        return found.push(format!("{selector} names no metric"));
    };
    let Some(known) = catalogue.get(name) else {
        return found.push(format!("{name} is no metric"));
    };
    let matchers = &selector.matchers;
    for matcher in matchers.matchers.iter().chain(matchers.or_matchers.iter().flatten()) {
        if !known.labels.contains(&matcher.name) {
            found.push(format!("{name} has no label {}", matcher.name));
        }
    }
}

/// The labels of `by`, `without`, `on` and `ignoring` are labels of all metrics below.
fn check_labels(modifier: Option<&LabelModifier>, below: &Expr, catalogue: &Catalogue, found: &mut Vec<String>) {
    let labels = modifier.map(|modifier| modifier.labels().labels.as_slice()).unwrap_or_default();
    for name in selectors(below).into_iter().filter_map(|selector| selector.name.as_deref()) {
        let Some(known) = catalogue.get(name) else { continue };
        for label in labels.iter().filter(|label| !known.labels.contains(*label)) {
            found.push(format!("{name} has no label {label}"));
        }
    }
}

fn check_quantile(call: &Call, found: &mut Vec<String>) {
    if call.func.name != "histogram_quantile" {
        return;
    }
    let keeps_le = call.args.args.iter().any(|argument| match argument.as_ref() {
        Expr::Aggregate(AggregateExpr { modifier: Some(LabelModifier::Include(labels)), .. }) => {
            labels.labels.iter().any(|label| label == "le")
        }
        _ => false,
    });
    if !keeps_le {
        found.push("histogram_quantile needs a sum by (le, ...)".to_owned());
    }
}

/// Counters are looked at through a rate, and only counters are.
fn check_rates(expr: &Expr, in_rate: bool, catalogue: &Catalogue, found: &mut Vec<String>) {
    if let Some(name) = selector_of(expr).and_then(|selector| selector.name.as_deref())
        && let Some(known) = catalogue.get(name)
        && known.counter != in_rate
    {
        found.push(if in_rate { format!("{name} is no counter") } else { format!("{name} needs a rate") });
    }
    let rates = in_rate || matches!(expr, Expr::Call(call) if RATES.contains(&call.func.name));
    for child in children(expr) {
        check_rates(child, rates, catalogue, found);
    }
}

#[test]
fn wrong_queries_are_found() {
    let catalogue = Catalogue::new();
    for (query, violation) in [
        ("sum(rate(http_request_total[5m]))", "http_request_total is no metric"),
        ("sum by (route) (rate(http_requests_total[5m]))", "http_requests_total has no label route"),
        ("rate(http_requests_total{code=\"200\"}[5m])", "http_requests_total has no label code"),
        ("rate(ledger_mismatches[5m])", "ledger_mismatches is no counter"),
        ("sum(http_requests_total)", "http_requests_total needs a rate"),
        ("rate(batch_size[5m])", "batch_size is no metric"),
        ("up / on (queue) up", "up has no label queue"),
        ("slo:burn_rate:5m{job=\"x\"}", "slo:burn_rate:5m has no label job"),
        ("histogram_quantile(0.9, sum(rate(batch_size_bucket[5m])))", "histogram_quantile needs a sum by (le, ...)"),
    ] {
        let found = Query::parse(query).expect("valid PromQL").violations(&catalogue);
        assert!(found.iter().any(|line| line == violation), "{query}: {found:?}");
    }
    let fine = "sum by (path) (rate(http_requests_total{status=~\"5..\"}[5m])) > 0 or slo:burn_rate:5m{slo=\"x\"}";
    assert_eq!(Query::parse(fine).expect("valid PromQL").violations(&catalogue), Vec::<String>::new());
    assert!(Query::parse("sum(rate(up[5m])").is_err());
}
