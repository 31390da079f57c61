//! A trace collector: takes OTLP over gRPC as `opentelemetry-proto` defines it, and keeps what it is sent.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use tokio::task::JoinSet;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A running collector; it ends when dropped.
pub(crate) struct Collector {
    address: SocketAddr,
    received: Received,
    _server: JoinSet<Result<(), tonic::transport::Error>>,
}

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A span as a service sent it. Ids are in hexadecimal, as in a `traceparent`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenSpan {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for the first span of a trace.
    pub(crate) parent: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let incoming = TcpIncoming::bind(ANY_PORT).expect("a free port for the collector");
        let address = incoming.local_addr().expect("a bound listener has an address");
        let received = Received::default();
        let service = TraceServiceServer::new(received.clone());
        let mut server = JoinSet::new();
        server.spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { address, received, _server: server }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// All spans received so far.
    pub(crate) fn spans(&self) -> Vec<SeenSpan> {
        let mut spans = Vec::new();
        for resource in self.requests().into_iter().flat_map(|request| request.resource_spans) {
            let attributes = attributes(&resource.resource.unwrap_or_default().attributes);
            let service = attributes.get("service.name").cloned().unwrap_or_default();
            let of_resource = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(of_resource.map(|span| seen(service.clone(), span)));
        }
        spans
    }

    /// Everything received, with attributes and events, as text to search in.
    pub(crate) fn everything(&self) -> String {
        format!("{:?}", self.requests())
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.received.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn seen(service: String, span: Span) -> SeenSpan {
    SeenSpan {
        service,
        kind: span.kind(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        attributes: attributes(&span.attributes),
        name: span.name,
    }
}

fn hex(id: &[u8]) -> String {
    let mut text = String::with_capacity(2 * id.len());
    for byte in id {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    text
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}
