"""Messages sorted by likeness to labelled ones, and the worked case of a bank that they are drawn for."""

import asyncio
import json
from collections import Counter

import pytest
import yaml
from fakes import WordEmbedder
from optimise_double import subject

from domain.errors import UsageError
from training import bank_scope
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


def public_data(folder):
    """Rows in the public files' own shapes, twenty of each intent that is asked for, and some that are not."""
    files = {
        "scope/banking77_train": ["card_arrival", "failed_transfer", "passcode_forgotten", "exchange_rate"],
        "scope/clinc150_train_val": ["oil_change", "pay_bill"],
        "vietnamese/bank_nlu": ["lost_card", "show_balance", "change_password", "greeting"],
        "vietnamese/phoatis_flights_out": ["flight"],
    }
    domains = {"oil_change": "auto", "pay_bill": "banking"}
    for name, intents in files.items():
        path = folder / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        texts = [(intent, f"{intent} of {name} {number}") for intent in intents for number in range(20)]
        rows = [{"text": text, "intent": intent, "domain": domains.get(intent, "")} for intent, text in texts]
        path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return folder


def test_a_bank_is_drawn_from_public_data_with_the_same_rows_held_out_however_many_are_learnt(tmp_path):
    shared = public_data(tmp_path)
    few, held = bank_scope.chosen(shared, 3, 5)
    more, same = bank_scope.chosen(shared, 9, 5)
    assert held == same
    assert set(Counter((row["id"][:2], row["category"]) for row in held).values()) == {5}
    assert {row["category"] for row in held} == {"cards", "payment_accounts", "internet_banking", "out"}
    assert (len(few), len(more)) == (24, 72)
    assert not {row["text"] for row in more} & {row["text"] for row in held}
    assert not [row for row in [*more, *held] if row["text"].startswith(("exchange_rate", "pay_bill", "greeting"))]


def test_a_banks_rows_are_written_for_optimise_and_for_scope_fit(tmp_path):
    shared, out = public_data(tmp_path), tmp_path / "bank"
    bank_scope.main(shared, out, 3, 5)
    rows = {path.stem: path.read_text("utf-8").splitlines() for path in out.glob("*.jsonl")}
    assert {name: len(lines) for name, lines in rows.items()} == {
        "bank": 24, "bank_held_out": 40, "in_or_out_en": 32, "in_or_out_vi": 32
    }  # fmt: skip
    labels = [json.loads(line) for line in rows["in_or_out_vi"]]
    assert {row["label"] for row in labels if row["kind"] == "out"} == {"out"}
    assert {row["label"] for row in labels if row["kind"] == "cards"} == {"in"}
    assert set(yaml.safe_load((out / "categories.yaml").read_text("utf-8"))) == {
        "cards", "payment_accounts", "internet_banking"
    }  # fmt: skip
    with pytest.raises(UsageError, match="pass --shared"):
        bank_scope.main(tmp_path / "absent", out)
