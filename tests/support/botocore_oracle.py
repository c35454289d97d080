"""Asks botocore, which runs in an environment of its own, one process per session."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "clients" / "python" / "botocore_oracle.py"


class OracleRefused(Exception):
    """botocore raised; `kind` is the name of its exception."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class BotocoreOracle:
    """See tests/clients/python/botocore_oracle.py for what can be asked."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, do: str, **question: Any) -> Any:
        """botocore's answer. Raises OracleRefused."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **question}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "failure" in answer:
            raise OracleRefused(answer["failure"], answer["message"])
        return answer["answer"]

    def frames(self, data: bytes) -> list[tuple[dict[str, Any], bytes]]:
        """The frames of an event stream: headers, where bytes are {"bytes": base64}, and payload."""
        found = self.ask("frames", data=base64.b64encode(data).decode())
        return [(each["headers"], base64.b64decode(each["payload"]["bytes"])) for each in found]

    def complaints(self, body: bytes, *, model: str = "amazon.nova-lite-v1:0", stream: bool = False) -> list[str]:
        """What the service model has against a body, also where botocore would send another one."""
        said = json.loads(body)
        found = self.ask("validate", operation="ConverseStream" if stream else "Converse", body=said, model=model)
        different = [] if found["body"] == said else [f"botocore would send {found['body']}"]
        return [*found["complaints"], *different]

    def complaints_about_answer(self, body: bytes) -> list[str]:
        """What the service model has against a whole answer."""
        said = json.loads(body)
        said["usage"].pop("serverToolUsage", None)  # Bedrock sends it, and its model does not know it
        complaints: list[str] = self.ask("judge", body=said)
        return complaints

    def complaints_about_stream(self, data: bytes) -> list[str]:
        """What the service model has against the frames of a stream."""
        events = []
        for headers, payload in self.frames(data):
            said = {name: value for name, value in json.loads(payload).items() if name != "p"}  # padding
            said.get("usage", {}).pop("serverToolUsage", None)
            events.append({headers.get(":event-type") or headers[":exception-type"]: said})
        complaints: list[str] = self.ask("judge", stream=events)
        return complaints

    def call(self, method: str, endpoint: str, parameters: dict[str, Any], **account: Any) -> Any:
        """What boto3 makes of a call: `answer`, or `error` with `status`."""
        account = {"region": "us-east-1", "access_key": "AKIDEXAMPLE", "secret_key": "secret", **account}
        return self.ask("call", method=method, endpoint=endpoint, parameters=parameters, **account)


@pytest.fixture(scope="session")
def botocore(clients_python: Path) -> Iterator[BotocoreOracle]:
    """botocore, and boto3, of the clients' environment."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environ |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}
    command = [str(clients_python), str(SCRIPT)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environ) as process:
        try:
            yield BotocoreOracle(process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
