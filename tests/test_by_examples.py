"""Messages sorted by likeness to labelled ones."""

import asyncio

from fakes import WordEmbedder
from optimise_double import subject

from training.by_examples import by_examples, nearest
from training.splitting import split


def test_a_message_gets_the_category_of_what_it_is_like():
    groups = {"cards": [[1.0, 0.0], [0.9, 0.1]], "out": [[0.0, 1.0]]}
    assert nearest([0.8, 0.2], groups) == "cards"
    assert nearest([0.1, 0.9], groups) == "out"


def test_rows_that_are_not_held_out_are_the_examples(tmp_path):
    sides = split(subject(tmp_path).rows)
    tried = asyncio.run(by_examples([*sides.train, *sides.validation, *sides.held_out], sides.held_out, WordEmbedder()))
    assert set(tried.marks) == {row.id for row in sides.held_out}
    assert sum(tried.right().values()) > len(sides.held_out) / 2
