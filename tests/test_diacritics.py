"""Vietnamese typed without diacritics gets them back before it is embedded, and nothing else is touched."""

import asyncio
import json
import sys

import pytest
from fakes import WordEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.words import fold
from models.diacritics import Restorer, RestoringEmbedder, is_bare_vietnamese
from training import diacritics

ARTICLE = "Lõi lọc của bình Suối dùng được sáu tháng. Đổi trả hàng trong ba mươi ngày."


class Heard(WordEmbedder):
    def __init__(self):
        self.questions = []

    async def query(self, text):
        self.questions.append(text)
        return await super().query(text)


def test_common_words_come_back_by_what_ships():
    assert Restorer([]).restored("Xin chao, toi muon hoi ban mot chut") == "Xin chào, tôi muốn hỏi bạn một chút"


def test_the_desks_own_words_come_first():
    bare = "Loi loc BINH Suoi, 2 cai - doi tra hang?"
    assert Restorer([]).restored(bare) != "Lõi lọc BÌNH Suối, 2 cái - đổi trả hàng?"
    assert Restorer([ARTICLE]).restored(bare) == "Lõi lọc BÌNH Suối, 2 cái - đổi trả hàng?"


def test_english_texts_of_the_desk_lend_no_forms():
    english = "Please tell the courier to bring the parcel to the shop, and do not pay the fee to the driver."
    assert Restorer([ARTICLE, english]).restored("bao lau thi giao hang the") == Restorer([ARTICLE]).restored(
        "bao lau thi giao hang the"
    )


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(max_codepoint=127), max_size=80))
def test_only_diacritics_are_put_in(text):
    restored = Restorer([ARTICLE]).restored(text)
    assert len(restored) == len(text)
    assert fold(restored) == fold(text)


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("toi muon doi tra hang", True),
        ("bao lau thi giao hang", True),
        ("tôi muốn đổi trả hàng", False),
        ("tôi muon doi tra hang", False),
        ("how do I return a parcel", False),
        ("Đà Nẵng", False),
        ("", False),
        ("toi muon doi tra hang " * 60, False),
    ],
)
def test_bare_vietnamese_is_known(text, bare):
    assert is_bare_vietnamese(text) is bare


def test_only_a_bare_question_is_changed_and_new_articles_are_read():
    heard, told = Heard(), {"name": "k1", "texts": []}
    embedder = RestoringEmbedder(heard, lambda: (told["name"], lambda: told["texts"]))

    async def ask():
        for question in ("Loi loc binh Suoi dung duoc bao lau", "lõi lọc bình Suối", "Is the filter loc?"):
            await embedder.query(question)

    asyncio.run(ask())
    first, *others = heard.questions
    assert others == ["lõi lọc bình Suối", "Is the filter loc?"]
    assert first != "Loi loc binh Suoi dung duoc bao lau"
    told.update(texts=[ARTICLE])
    asyncio.run(ask())
    assert heard.questions[3] == first
    told.update(name="k2")
    asyncio.run(ask())
    assert heard.questions[6].startswith("Lõi lọc bình Suối dùng được")
    assert (embedder.name, asyncio.run(embedder.passages(["loi"]))) == ("words", asyncio.run(heard.passages(["loi"])))


def test_the_table_counts_what_is_not_toxic_and_is_checked(tmp_path, monkeypatch, capsys):
    rows = [{"text": "Tôi muốn hỏi. Tôi muốn mua!", "toxic": 0}, {"text": "Tồi lắm", "toxic": 1}]
    data, table = tmp_path / "rows.jsonl", tmp_path / "table.json"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    monkeypatch.setattr(sys, "argv", ["diacritics", "--data", str(data), "--out", str(table), "--check", str(data)])
    assert diacritics.main() == 0
    counts = json.loads(table.read_text("utf-8"))
    assert counts["alone"] == {"": 2, "hỏi": 1, "mua": 1, "muốn": 2, "tôi": 2}
    assert counts["pairs"] == {"": {"tôi": 2}, "tôi": {"muốn": 2}}
    assert "of 8 words" in capsys.readouterr().out
