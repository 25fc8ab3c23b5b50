"""The real GEPA of DSPy as the search. Wants the extra "optimise": `make test-optimise` runs it in its environment."""

import asyncio
import io
import sys

import pytest
from optimise_double import BETTER, subject, workshop

from domain.errors import ModelDownError
from training.gepa import best_instruction

pytest.importorskip("dspy", reason='DSPy is not installed: pip install "frontdesk[optimise]", or make test-optimise')
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_gepa_finds_the_better_instruction_quietly(tmp_path, capsys):
    with workshop(tmp_path) as shop:
        done = asyncio.run(shop.run(subject(tmp_path), best_instruction))
    assert done.pays
    assert done.after.prompt.messages[0].text == BETTER
    assert capsys.readouterr().out == ""
    assert (tmp_path / "gepa_state.bin").is_file()


def test_a_spent_run_asks_nothing_again(tmp_path):
    with workshop(tmp_path) as shop:
        first = asyncio.run(shop.run(subject(tmp_path), best_instruction))
        asked = len(shop.models.asked("student"))
        again = asyncio.run(shop.run(subject(tmp_path), best_instruction))
        assert len(shop.models.asked("student")) == asked
    assert again.after.prompt == first.after.prompt


def test_a_model_that_fails_in_the_middle_ends_gepa_and_a_second_run_goes_on(tmp_path):
    with workshop(tmp_path) as shop:
        shop.models.fails_after = 25
        with pytest.raises(ModelDownError):
            asyncio.run(shop.run(subject(tmp_path), best_instruction))
        shop.models.fails_after = 10**6
        before = len(shop.models.asked("student"))
        done = asyncio.run(shop.run(subject(tmp_path), best_instruction))
        assert len(shop.models.asked("student")) > before
    assert done.pays
    assert all(mark.label for mark in done.before.marks.values())


def test_what_others_write_meanwhile_is_not_lost(tmp_path, monkeypatch):
    heard = io.StringIO()
    monkeypatch.setattr(sys, "stderr", heard)
    with workshop(tmp_path) as shop:
        shop.lines = Heard()
        asyncio.run(shop.run(subject(tmp_path), best_instruction))
    assert "GEPA Optimization" not in heard.getvalue()


class Heard(list):
    """Lines that go to the terminal as the command writes them."""

    def append(self, line):
        sys.stderr.write(line + "\n")
