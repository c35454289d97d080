"""The oracle finds what is planted: each defect in a gateway that is otherwise right, and nothing in one without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from defective_gateway import DefectiveGateway
from expectations import Complaint, judge
from fault_cases import Case
from fault_surfaces import SURFACES
from upstream_log import UpstreamLog
from wall import Wall, faulty_provider

WHOLE, STREAM, WITH_USAGE = (
    next(each for each in SURFACES if each.name == name) for name in ("chat", "chat-stream", "chat-stream-usage")
)
Sources = tuple[dict[str, int], UpstreamLog]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    with faulty_provider(tmp_path_factory.mktemp("planted")) as found:
        yield found


def wall_in_front_of(gateway: DefectiveGateway, log: UpstreamLog) -> Wall:
    """Its rows are there at once, or never."""
    return Wall(gateway.url, "none", log, lambda: list(reversed(gateway.rows)), patience_s=5.0, tries=1)


def complaints_about(provider: Sources, defect: str, *cases: Case) -> list[list[Complaint]]:
    """What the oracle says about each case behind a gateway with this defect."""
    ports, log = provider
    turned = [Case(case.kind, case.chain, case.surface, f" {defect} {case.turn}") for case in cases]
    with DefectiveGateway(ports, defect).running() as gateway:
        wall = wall_in_front_of(gateway, log)
        return [judge(evidence) for evidence in wall.play(turned)]


def complaints_about_leaving(provider: Sources, defect: str, case: Case) -> list[Complaint]:
    ports, log = provider
    with DefectiveGateway(ports, defect).running() as gateway:
        wall = wall_in_front_of(gateway, log)
        turned = Case(case.kind, case.chain, case.surface, f" leaving {defect}")
        return wall.judged_leaving(turned, "fin") if wall.play_leaving([(turned, "fin")]) else []


def test_a_gateway_without_a_defect_hears_no_complaint(provider: Sources) -> None:
    kinds = ("good", "status-400", "status-429", "status-503")
    cases = [
        Case(kind, chain, surface)
        for surface in (WHOLE, STREAM, WITH_USAGE)
        for chain in ("alone", "one", "two", "exhausted")
        for kind in kinds
    ]
    broken = ("cut-after-tokens", "end-without-finish", "error-after-tokens", "stall-after-tokens", "usage-missing")
    cases += [
        Case(kind, chain, surface)
        for surface in (STREAM, WITH_USAGE)
        for chain in ("alone", "one", "two", "exhausted")
        for kind in broken
    ]
    found = complaints_about(provider, "", *cases)
    assert {case.name: each for case, each in zip(cases, found, strict=True) if each} == {}


@pytest.mark.parametrize("kind", ["silence", "endless", "stall-after-tokens"])
def test_a_gateway_that_leaves_in_time_hears_no_complaint(provider: Sources, kind: str) -> None:
    assert complaints_about_leaving(provider, "", Case(kind, "alone", STREAM)) == []


@pytest.mark.parametrize(
    ("defect", "named", "case"),
    [
        ("invented-stop", "invented-finish", Case("end-without-finish", "alone", STREAM)),
        ("invented-stop", "invented-finish", Case("cut-after-tokens", "one", WITH_USAGE)),
        ("invented-stop", "silent-truncation", Case("stall-after-tokens", "alone", STREAM)),
        ("silent-end", "silent-truncation", Case("end-without-finish", "alone", STREAM)),
        ("done-after-error", "invented-finish", Case("cut-after-tokens", "alone", STREAM)),
        ("doubled-chunk", "doubled-token", Case("good", "alone", STREAM)),
        ("doubled-chunk", "doubled-token", Case("error-after-tokens", "one", WITH_USAGE)),
        ("lost-token", "lost-token", Case("good", "one", STREAM)),
        ("lost-token", "lost-token", Case("cut-after-tokens", "alone", WITH_USAGE)),
        ("lost-last-token", "lost-token", Case("good", "alone", WITH_USAGE)),
        ("lost-done", "lost-finish", Case("good", "alone", STREAM)),
        ("changed-text", "changed-text", Case("good", "alone", STREAM)),
        ("changed-text", "changed-bytes", Case("good", "alone", WITH_USAGE)),
        ("written-anew", "changed-bytes", Case("good", "alone", WHOLE)),
        ("switch-after-output", "switch-after-output", Case("cut-after-tokens", "one", STREAM)),
        ("switch-after-output", "switch-after-output", Case("end-without-finish", "one", WITH_USAGE)),
        ("switch-after-output", "wrong-target", Case("stall-after-tokens", "one", STREAM)),
        ("no-fallback", "wrong-target", Case("status-429", "one", WHOLE)),
        ("eager-fallback", "wrong-target", Case("status-400", "one", STREAM)),
        ("swallowed-retry-after", "lost-header", Case("status-429", "alone", WHOLE)),
        ("swallowed-retry-after", "lost-header", Case("status-503", "exhausted", STREAM)),
        ("swallowed-request-id", "lost-header", Case("good", "alone", STREAM)),
        ("mixed-headers", "foreign-header", Case("status-429", "one", WHOLE)),
        ("softened-status", "wrong-status", Case("status-503", "alone", WHOLE)),
        ("reworded-error", "wrong-error", Case("status-400", "alone", WHOLE)),
        ("lost-usage", "wrong-usage", Case("good", "alone", STREAM)),
        ("lost-usage", "lost-usage", Case("cut-after-tokens", "alone", STREAM)),
        ("guessed-usage", "wrong-usage", Case("good", "alone", WHOLE)),
        ("no-cost", "no-cost", Case("good", "alone", WITH_USAGE)),
        ("no-cost", "no-cost", Case("usage-missing", "alone", STREAM)),
        ("no-row", "lost-usage", Case("status-503", "alone", WHOLE)),
        ("two-rows", "lost-usage", Case("good", "alone", WHOLE)),
        ("forgotten-attempts", "wrong-record", Case("status-429", "two", STREAM)),
        ("held-upstream", "late-cancel", Case("stall-after-tokens", "alone", STREAM)),
        ("cut-short", "broken-http", Case("good", "alone", STREAM)),
    ],
)
def test_a_planted_defect_is_found(provider: Sources, defect: str, named: str, case: Case) -> None:
    (found,) = complaints_about(provider, defect, case)
    assert named in {each.name for each in found}, found


@pytest.mark.parametrize(
    ("kind", "surface"), [("silence", WHOLE), ("stall-in-body", WHOLE), ("silence", STREAM), ("endless", STREAM)]
)
def test_a_late_cancel_is_found(provider: Sources, kind: str, surface: object) -> None:
    case = Case(kind, "alone", surface)  # type: ignore[arg-type]
    assert {each.name for each in complaints_about_leaving(provider, "late-cancel", case)} == {"late-cancel"}


def test_usage_lost_when_the_caller_leaves_is_found(provider: Sources) -> None:
    found = complaints_about_leaving(provider, "lost-usage", Case("stall-after-tokens", "alone", STREAM))
    assert "lost-usage" in {each.name for each in found}
