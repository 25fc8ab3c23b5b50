"""The learned router: where it decides, where the rules do, and that it says why."""

import asyncio
import json
from collections.abc import Sequence

import numpy as np
import pytest

from domain.errors import WeightsError
from domain.ports import Vector
from evals.ordinal import fit_head, held_back_tiers
from models import ComplexityRouter, load_embedder
from models.catalog import TIERS
from models.learned_router import HEADS, LearnedRouter, RouterHead, marks, read_heads
from models.router import FEATURES

E5 = "multilingual-e5-small"
HARD = "I returned one of two items from an order with a voucher: how much do I get back, and is shipping still free?"


class Vectors:
    """An embedder of that name whose every vector is the same; None: its weights are gone."""

    def __init__(self, name: str, vector: Vector | None) -> None:
        self.name, self._vector = name, vector

    async def query(self, text: str) -> Vector:
        if self._vector is None:
            raise WeightsError("gone", where=text)
        return list(self._vector)

    async def passages(self, texts: Sequence[str]) -> list[Vector]:
        return [await self.query(text) for text in texts]


def judged(embedder: Vectors, text: str, language="en", history=0):
    return asyncio.run(LearnedRouter(embedder).judge(text, language=language, history=history))


@pytest.mark.parametrize(
    ("embedder", "language"),
    [(Vectors("another", [0.1] * 384), "en"), (Vectors(E5, None), "vi"), (Vectors(E5, [0.1] * 3), "en")],
    ids=["no head", "no weights", "another length"],
)
def test_where_no_head_fits_the_rules_decide(embedder: Vectors, language) -> None:
    for text in ("Do gift cards expire?", HARD):
        by_rule = ComplexityRouter().judge(text, language=language, history=9)
        assert judged(embedder, text, language, history=9) == by_rule


@pytest.mark.parametrize(
    ("hardness", "tier"), [(-3.0, "simple"), (-1.0, "medium"), (0.99, "medium"), (1.0, "complex"), (4.0, "complex")]
)
def test_the_vector_and_the_marks_add_up_and_the_borders_decide(hardness: float, tier: str) -> None:
    size = len(marks("x", "en"))
    none = [0.0] * size
    head = RouterHead(frozenset({"en"}), none, [1.0] * size, [2.0, *none[1:]], [1.0, 0.0], 0.5, (-1.0, 1.0))
    alone = head.judge(none, [hardness + 0.5, 7.0])
    assert alone.tier == tier
    asking = [1.0, *none[1:]]  # the first feature, which adds 2
    both = head.judge(asking, [hardness - 1.5, 7.0])
    assert (both.tier, both.score) == (alone.tier, alone.score)
    assert both.why[0].startswith(next(iter(FEATURES.values())).says) or abs(hardness - 2) > 2
    assert 0 <= alone.score <= 1


def test_what_makes_a_question_harder_is_told_largest_first() -> None:
    plain, hard = (judged(Vectors(E5, [0.0] * 384), text) for text in ("Do gift cards expire?", HARD))
    assert hard.score > plain.score
    assert any(one.startswith("has to be worked out (+") for one in hard.why)
    added = [abs(float(one.rsplit("(", 1)[1].rstrip(")"))) for one in hard.why]
    assert added == sorted(added, reverse=True)


def test_a_head_is_of_the_weights_that_are_pinned() -> None:
    kept = json.loads(HEADS.read_text("utf-8"))["heads"]
    assert set(kept) == set(read_heads()) == {E5}
    for name, head in kept.items():
        assert head["sha256"] == load_embedder(name).sha256
        assert len(head["vector"]) == 384
        assert len(head["marks"]) == len(marks("x", "en"))


def test_fitting_finds_the_line_and_is_judged_on_groups_that_were_never_seen() -> None:
    dice = np.random.default_rng(7)
    found, vectors = dice.normal(size=(150, 3)), dice.normal(size=(150, 4))
    hardness = 2 * found[:, 0] - vectors[:, 1]
    labels = [int(one > -1) + int(one > 1) for one in hardness]
    head = fit_head(found, vectors, labels, ["en"], weight=1.0, penalty=0.3)
    padded = np.hstack([found, np.zeros((150, len(FEATURES) + 3))])
    wide = fit_head(padded, vectors, labels, ["en"], weight=1.0, penalty=0.3)
    said = [
        TIERS.index(wide.judge(one, vector).tier) for one, vector in zip(padded.tolist(), vectors.tolist(), strict=True)
    ]
    assert np.mean(np.array(said) == labels) > 0.95
    assert head.borders[0] < head.borders[1]
    groups = [str(number % 30) for number in range(150)]
    unseen = held_back_tiers(padded, vectors, labels, ["en"], groups, weight=1.0, penalty=0.3)
    assert np.mean(np.array(unseen) == labels) > 0.85
    by_group = np.repeat(np.eye(30), 5, axis=0)
    noise = [int(tier) for tier in np.repeat(dice.integers(0, 3, 30), 5)]
    together = [str(number // 5) for number in range(150)]
    nothing = np.zeros((150, len(FEATURES) + 6))
    blind = held_back_tiers(nothing, by_group, noise, ["en"], together, weight=1.0, penalty=0.3)
    assert np.mean(np.array(blind) == noise) < 0.7, "it has learned the groups by heart"
