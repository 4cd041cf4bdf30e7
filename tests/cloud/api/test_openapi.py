"""The API against its own OpenAPI: whatever is sent, the answer is one the document promises, and never a crash."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from support.served import Plant

CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]

SILENT = {"/events", "/metrics"}
"""Streams and text, which have tests of their own."""


def test_the_document_is_versioned_and_complete(local: httpx.Client) -> None:
    document = local.get("/api/v1/openapi.json").json()
    paths = {path for path in document["paths"] if path not in {"/healthz", "/readyz", *SILENT}}
    assert paths
    assert all(path.startswith("/api/v1/") for path in paths)
    operations = [(path, verb) for path, verbs in document["paths"].items() for verb in verbs]
    described = [(path, verb) for path, verb in operations if document["paths"][path][verb].get("description")]
    assert described == operations


@pytest.mark.timeout(120)
def test_whatever_is_sent_the_answer_is_a_promised_one(plant: Plant, local: httpx.Client) -> None:
    plant.alarm(plant.tag("gas1", "氯气", "Chlorine"), "L2", "red")
    document = local.get("/api/v1/openapi.json").json()
    document["paths"] = {path: verbs for path, verbs in document["paths"].items() if path not in SILENT}
    schema = schemathesis.openapi.from_dict(document)
    tried = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @settings(
            max_examples=12,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            # Our own client sends it: schemathesis' one reaches into urllib3, which an HTTP library here replaces.
            request = case.as_transport_kwargs(base_url=str(local.base_url))
            request.pop("cookies", None)
            content = request.pop("data", None)
            case.validate_response(local.request(**request, content=content), checks=CHECKS)

        check()
        tried += 1
    assert tried >= 12
