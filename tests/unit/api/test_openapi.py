"""The committed description is the API."""

import re
import subprocess
import sys
from typing import Any

from starlette.testclient import TestClient

from api import openapi


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        found = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return found.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(value) for value in node))
    return set()


def test_the_committed_document_is_up_to_date() -> None:
    assert openapi.main(["--check"]) == 0


def test_every_reference_leads_somewhere_and_every_operation_has_its_own_name(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= known
    names = [call["operationId"] for path in document["paths"].values() for call in path.values()]
    assert len(names) == len(set(names))


def test_every_error_is_described_as_a_problem(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path in document["paths"].values():
        for call in path.values():
            assert "application/problem+json" in call["responses"]["4XX"]["content"]
            assert not re.search("HTTPValidationError", str(call))


def test_the_documentation_page_is_served(client: TestClient) -> None:
    assert client.get("/docs").status_code == 200


def test_importing_the_api_never_loads_torch() -> None:
    code = "import api.asgi, sys; print(sorted({'torch', 'transformers', 'peft', 'accelerate'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"
