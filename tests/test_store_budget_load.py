"""Safety rule 7 under load: 1,000 turns at once over several processes never pass any of their budgets."""

import json
import subprocess
import sys
import time

import pytest
from fakes import FrozenClock
from places import Place

from store.limits import EACH, Slot

PROCESSES, THREADS, TURNS = 4, 25, 250
LIMITS = {("total", ""): 60_000, ("user", EACH): 9_000, ("model", "m1"): 20_000}

WORKER = """
import json, random, sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from domain.errors import BudgetError
from domain.turn import Payer
from store import Store
class Clock:
    def now(self): return datetime(2026, 3, 1, 12, tzinfo=UTC)
    def monotonic(self): return 0.0
folder, url, seed, threads, turns = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
budget = Store.open(Path(folder), Clock(), url=url, daily_limit=60_000).budget
def turn(number):
    dice = random.Random(seed * 100_000 + number)
    model, user, amount = f"m{dice.randrange(3)}", f"u{dice.randrange(10)}", dice.randrange(50, 400)
    try:
        hold = budget.reserve(model, amount, Payer(user, "", f"{seed}-{number}"))
    except BudgetError:
        return None
    if dice.random() < 0.05:
        return [model, user, 0, amount]  # as if it were killed between the two
    cost = dice.randrange(amount + 1)
    budget.settle(hold, cost)
    budget.settle(hold, cost)
    return [model, user, cost, 0]
with ThreadPoolExecutor(threads) as pool:
    print(json.dumps([one for one in pool.map(turn, range(turns)) if one]))
"""


@pytest.mark.slow
def test_a_thousand_turns_over_several_processes_keep_every_budget(place: Place) -> None:
    store = place.open(FrozenClock(), daily_limit=60_000)
    clock = store.budget._clock
    clock.moment = clock.moment.replace(year=2026, month=3, day=1, hour=12)
    for (scope, name), amount in LIMITS.items():
        store.budget.change(Slot(scope, name), amount, "test")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(place.folder), place.url, str(seed), str(THREADS), str(TURNS)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(PROCESSES)
    ]
    while any(process.poll() is None for process in running):
        for one in store.budget.standings():
            assert one.settled + one.reserved <= one.limit.amount
        time.sleep(0.05)
    made = [turn for process in running for turn in json.loads(process.communicate()[0])]
    assert len(made) > 100
    settled, reserved = sum(turn[2] for turn in made), sum(turn[3] for turn in made)
    state = store.budget.state()
    assert (state.settled, state.reserved) == (settled, reserved)
    assert settled + reserved > 0.5 * LIMITS["total", ""]
    books = {(one.account.scope, one.account.name): (one.settled, one.reserved) for one in store.budget.standings()}
    users = {turn[1] for turn in made}
    for user in users:
        mine = [turn for turn in made if turn[1] == user]
        assert books["user", user] == (sum(turn[2] for turn in mine), sum(turn[3] for turn in mine))
    ones = [turn for turn in made if turn[0] == "m1"]
    assert books["model", "m1"] == (sum(turn[2] for turn in ones), sum(turn[3] for turn in ones))
