"""A collector of OpenTelemetry that reads OTLP and keeps what it was sent."""

from http.server import BaseHTTPRequestHandler

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.servers import LocalServer

SERVER = Span.SpanKind.SPAN_KIND_SERVER


class Collector(LocalServer):
    """Takes spans by HTTP, as protobuf. bodies: of all requests, in order."""

    def __init__(self):
        self.bodies = []
        super().__init__(_handler(self.bodies))

    @property
    def resources(self):
        """The attributes of each sender, as often as it has sent."""
        sent = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [attributes(one.resource) for each in sent for one in each.resource_spans]

    @property
    def spans(self):
        sent = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        resources = [one for each in sent for one in each.resource_spans]
        scopes = [scope for one in resources for scope in one.scope_spans]
        return [span for scope in scopes for span in scope.spans]


class Trace:
    """The spans of one trace: that of the request, and its children by their names."""

    def __init__(self, spans):
        (self.request,) = [span for span in spans if span.kind == SERVER]
        self.attributes = attributes(self.request)
        self.children = {span.name: span for span in spans if span.kind != SERVER}
        assert len(self.children) == len(spans) - 1
        assert {one.parent_span_id for one in self.children.values()} <= {self.request.span_id}


def attributes(span):
    """As Python's values, by key."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def context(span):
    """What a link to a span holds."""
    return span.trace_id, span.span_id


def _handler(bodies):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert (self.path, self.headers["Content-Type"]) == (
                "/v1/traces",
                "application/x-protobuf",
            )
            bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    return Handler
