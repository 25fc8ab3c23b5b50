"""The queueing model: where a formula is known it says the same, and it never promises what a server cannot do."""

import math
import random
import statistics

import pytest

from domain.errors import NotMeasuredError
from evals.queueing import Desk, Waits, erlang_mean, foretell, servers_for, shared

SERVICE = 0.05


def exponential(count: int = 4_000) -> list[float]:
    draw = random.Random(7)  # noqa: S311  # the same each time
    return [draw.expovariate(1 / SERVICE) for _ in range(count)]


@pytest.mark.parametrize("load", [0.3, 0.7])
@pytest.mark.parametrize("services", [[SERVICE], exponential()], ids=["even", "uneven"])
def test_shared_by_one_the_mean_is_that_of_the_formula_whatever_the_services(
    load: float, services: list[float]
) -> None:
    mean = statistics.fmean(services)
    found = statistics.fmean(shared(load / mean, services, 1.0))
    assert found == pytest.approx(mean / (1 - load), rel=0.1)  # M/G/1, processor sharing


def test_with_room_for_all_nobody_waits_and_with_little_all_wait_longer() -> None:
    assert max(shared(1.0, [SERVICE], 1_000.0)) == pytest.approx(SERVICE)
    desk = Desk([SERVICE], 40.0)
    assert desk.at_once == 2.0
    p95 = [foretell(desk, rate).p95 for rate in (4.0, 20.0, 36.0)]
    assert p95 == sorted(p95)
    assert p95[2] > 2 * p95[0]


def test_erlang_is_known_at_one_server_and_endless_beyond_what_they_can_do() -> None:
    assert erlang_mean(10.0, SERVICE, 1) == pytest.approx(SERVICE / (1 - 0.5))
    assert erlang_mean(10.0, SERVICE, 2) < erlang_mean(10.0, SERVICE, 1)
    assert erlang_mean(40.0, SERVICE, 2) == math.inf


def test_so_many_processes_are_enough_and_one_less_is_not() -> None:
    desk = Desk([SERVICE], 20.0)
    count = servers_for(100.0, desk, 0.3)
    assert foretell(desk, 100.0 / count).p95 <= 0.3
    assert foretell(desk, 100.0 / (count - 1)).p95 > 0.3
    with pytest.raises(NotMeasuredError, match="a turn alone takes longer"):
        servers_for(1.0, desk, 0.04)
    with pytest.raises(NotMeasuredError):
        Waits.of([], 1.0)
