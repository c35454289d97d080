from __future__ import annotations

from headworks.gateway.failover.deadlines import deadlines_of
from headworks.providers.http1 import Deadlines
from headworks.types.failing import RouteDeadlines

SERVER = Deadlines(connect_s=1, first_byte_s=2, idle_s=3, total_s=4)


def test_a_route_that_says_nothing_waits_as_long_as_the_server_does() -> None:
    assert deadlines_of(RouteDeadlines(), SERVER) == SERVER


def test_what_a_route_says_holds_whether_shorter_or_longer() -> None:
    own = RouteDeadlines(connect_s=0.5, first_token_s=300, total_s=900)
    assert deadlines_of(own, SERVER) == Deadlines(connect_s=0.5, first_byte_s=300, idle_s=3, total_s=900)
