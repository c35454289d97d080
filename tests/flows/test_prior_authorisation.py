"""The reference workspace on a real server, as its README tells it; the verdicts alone: tests/evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from running_server import Server, eventually

FOLDER = Path(__file__).parents[2] / "examples" / "prior-authorisation"
FEATURE = "prior-authorisation"
REQUEST = "Request PA-26-0102: Oswestry score of 18."

pytestmark = pytest.mark.long


class Plan:
    """A tenant that runs it, with who has to approve."""

    def __init__(self, server: Server) -> None:
        self.tenant = server.as_tenant(FEATURE)
        self.tenant.must("POST", "/api/groups", {"name": "special-investigations"})
        self.chief = self.tenant.key_of("chief", roles=["principal-expert"])
        self.engineer = self.tenant.key_of("engineer", roles=["engineer"])

    def apply(self, release: str) -> str:
        """The digest that waits on `staging`."""
        roots = [FOLDER / "workspace", *([FOLDER / "variants" / release] if release != "baseline" else [])]
        files = {
            str(path.relative_to(root)): path.read_text()
            for root in roots
            for path in root.rglob("*")
            if path.is_file()
        }
        (feature,) = self.tenant.apply(files)["features"]
        assert feature["channel"] == "staging", "of high risk"
        return str(feature["digest"])

    def gate(self, status: int) -> Any:
        done = self.tenant.cli("eval", "gate", FEATURE, "--concurrency", "8", "--json", check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout)

    def promote(self, digest: str, expected: str | None, **more: Any) -> tuple[int, Any]:
        body = {"feature": FEATURE, "digest": digest, "expected": expected, **more}
        status, said = self.tenant.api("POST", "/api/releases/promote", body)
        return status, said

    def approve(self, digest: str) -> None:
        for key, as_expert in ((self.chief, True), (self.engineer, False)):
            body = {"decision": "approve", "as_expert": as_expert}
            self.tenant.must("POST", f"/api/releases/{digest}/approve", body, key=key)

    def live(self) -> str:
        status, body, headers = self.tenant.ask(FEATURE, REQUEST)
        assert status == 200, body
        return str(headers["x-headworks-release"])


@pytest.mark.timeout(900)
def test_the_story_of_its_readme(server: Server) -> None:
    plan = Plan(server)
    baseline = plan.apply("baseline")
    assert "Nothing is live yet" in plan.gate(0)["lines"][0]["message"]
    status, refused = plan.promote(baseline, None)
    assert (status, "0 of 2" in refused["error"]["message"]) == (409, True)
    assert plan.promote(baseline, None, break_glass=True, reason="the first release")[0] == 200

    equal = plan.apply("equal")
    assert plan.gate(0)["base"] == baseline
    plan.approve(equal)
    assert plan.promote(equal, baseline)[0] == 200
    eventually(lambda: plan.live() == equal)
    plan.tenant.must("POST", "/api/releases/rollback", {"feature": FEATURE})
    eventually(lambda: plan.live() == baseline)

    worse = plan.apply("changed-clause")
    said = plan.gate(1)
    assert (said["verdict"], said["modes"][0]["mode"]) == ("FAIL", "unmet_criterion")
    assert said["modes"][0]["broken"] >= 40
    assert "decision_right · unmet_criterion" in {line["metric"] for line in said["lines"] if line["verdict"] == "FAIL"}
    plan.approve(worse)
    status, refused = plan.promote(worse, baseline)
    assert status == 409
    assert "FAIL" in refused["error"]["message"]
    assert plan.live() == baseline
