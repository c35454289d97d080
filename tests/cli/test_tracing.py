from __future__ import annotations

from typing import Any

from headworks.cli.tracing import described

USAGE = {
    "arrived_at": "2026-11-22T18:05:49.123456Z", "asked_model": "plan-assistant", "provider": "builtin",
    "model": "extractive", "status": 200, "release": "sha256:ab", "input_tokens": 604, "output_tokens": 63,
    "cost_micro_usd": None, "total_us": 867_000,
}  # fmt: skip
SPAN = {"span": "1", "parent": None, "name": "request", "offset_us": 0, "duration_us": 867_000, "status": "ok"}


def trace(*spans: dict[str, Any], **usage: Any) -> dict[str, Any]:
    return {"trace": "0199", "usage": USAGE | usage, "calls": [], "spans": list(spans)}


def test_a_trace_says_who_answered_and_what_it_cost() -> None:
    lines = described(trace(SPAN))
    assert lines[0].startswith("trace    0199   2026-11-22 18:05:49")
    assert lines[1] == "asked    plan-assistant, answered by builtin/extractive: status 200"
    assert lines[3] == "cost     604 tokens in, 63 out, no price is known"
    assert lines[4] == "time     867.0 ms"
    assert lines[-1].startswith("request  █")


def test_what_is_in_the_tokens_is_shown_where_the_provider_counted_it() -> None:
    counted = {"cached_input_tokens": 400, "cache_write_1h_tokens": 20, "reasoning_tokens": 0, "service_tier": "flex"}
    lines = described(trace(SPAN, **counted))
    assert lines[4] == "tokens   400 read from the cache, 20 written to it for an hour, service tier flex"
    assert lines[5] == "time     867.0 ms"


def test_it_says_that_the_answer_was_begun_by_another() -> None:
    lines = described(trace(SPAN, continuations=1))
    assert "builtin/extractive (which went on with what another had begun): status 200" in lines[1]


def test_what_is_withheld_is_counted() -> None:
    lines = described(trace(SPAN | {"withheld": True}, SPAN | {"span": "2"}))
    assert lines[-1] == "(1 stage with text that you may not read; it is left out)"


def test_a_request_without_stages_says_so() -> None:
    lines = described(trace(provider=None, model=None, release=None, input_tokens=None, output_tokens=None))
    assert "answered by –" in lines[1]
    assert lines[-1] == "It has no stages: a plain route, or an error before them."


def test_how_well_the_answer_was_grounded_is_told() -> None:
    counts = {"claims": 2, "cited": 1, "supported": 2, "support": 0.9, "weakest": 0.8}
    cite = SPAN | {"span": "2", "name": "cite", "attributes": counts}
    assert "grounded 1 of 2 claims cited · 2 supported · support 0.90, weakest 0.80" in described(trace(SPAN, cite))
    judge = SPAN | {"span": "3", "name": "judge", "attributes": {"outcome": "judged", "supported": 1, "claims": 2}}
    assert any(line.endswith("1 of 2 supported, says a judge") for line in described(trace(SPAN, cite, judge)))
    judge = SPAN | {"span": "3", "name": "judge", "attributes": {"outcome": "unparsable"}}
    assert any(line.endswith("a judge was asked: unparsable") for line in described(trace(SPAN, cite, judge)))
