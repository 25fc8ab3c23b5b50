"""Reading texts and quoting from them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes import WordEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import WeightsError
from domain.ports import Progress, Vector
from domain.turn import Passage
from scoring import cite, quote
from scoring.markdown import clean, pieces
from scoring.text import content_words, numbers, sentences

RETURNS = Passage(
    id="returns#0",
    article="returns",
    title="Return policy",
    section="",
    text="You may return most products within 30 days after delivery. A reason is not needed.",
    score=0.9,
    language="en",
)
FEES = Passage(
    id="fees#1",
    article="shipping",
    title="Shipping abroad",
    section="Times and fees",
    text=(
        "| Country | Days | Fee |\n|---|---|---|\n| Singapore | 4 to 6 | USD 9.50 |\n| Malaysia | 5 to 7 | USD 9.80 |\n"
        "| Japan | 6 to 9 | USD 14.00 |\n\nThere is no free shipping abroad."
    ),
    score=0.85,
    language="en",
)
CANNOT = Passage(
    id="returns#2",
    article="returns",
    title="Return policy",
    section="What cannot be returned",
    text="- opened filter cartridges,\n- gift cards,\n- engraved items,\n- wholesale orders, unless the goods are faulty.",
    score=0.8,
    language="en",
)
STEPS = Passage(
    id="how#1",
    article="how-to-return",
    title="How to return something",
    section="Steps",
    text=(
        '1. Open **Account > Orders** and press "Return".\n2. Upload one photo.\n3. Write the code on the box.\n'
        "4. Bring the box to a post office within 7 days."
    ),
    score=0.8,
    language="en",
)


class Countries:
    """An embedder that knows one thing: which of two countries a text is about, in any language."""

    name = "countries"

    def __init__(self, *, broken: bool = False) -> None:
        self.asked: list[str] = []
        self._broken = broken

    async def query(self, text: str) -> Vector:
        if self._broken:
            raise WeightsError("absent")
        self.asked.append(text)
        japan = any(word in text for word in ("Japan", "Nhật"))
        return [1.0, 0.0] if japan else [0.0, 1.0]

    async def passages(self, texts: Sequence[str], progress: Progress | None = None) -> list[Vector]:
        del progress
        return [await self.query(text) for text in texts]


def quoted(
    question: str, *passages: Passage, embedder: Countries | WordEmbedder | None = None
) -> list[tuple[str, str]]:
    found = asyncio.run(quote(question, passages, embedder=embedder))
    return [(passage.id, text) for passage, text in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We open at 9 a.m. on Sundays. Come early.", ["We open at 9 a.m. on Sundays.", "Come early."]),
        ("It uses 500 W. It costs 2.5 USD.", ["It uses 500 W.", "It costs 2.5 USD."]),
        ("Ask Mr. Lan, e.g. by phone! He knows.", ["Ask Mr. Lan, e.g. by phone!", "He knows."]),
        ("Giá 30.000đ mỗi kg. Đổi trả miễn phí?", ["Giá 30.000đ mỗi kg.", "Đổi trả miễn phí?"]),
        ("Giao tại TP. Hồ Chí Minh. Miễn phí.", ["Giao tại TP. Hồ Chí Minh.", "Miễn phí."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("one line\nwrapped. Another", ["one line wrapped.", "Another"]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet="aB đ.!?…\n1,\"'", max_size=80))
def test_sentences_lose_no_letter(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_numbers_are_compared_by_value() -> None:
    assert numbers("45,000 VND") == numbers("45.000đ") == {"45000"}
    assert numbers("2,5%") == numbers("2.50 %") == {"2.5"}
    assert numbers("09:00") == numbers("9:00")
    assert numbers("8-12 days") == {"8", "12"}
    assert numbers("1,290,000") == {"1290000"}
    assert numbers("3 or 30") == {"3", "30"}
    assert numbers("no figure") == set()


def test_content_words_meet_across_endings_and_diacritics() -> None:
    assert content_words("Shipping fees?") == content_words("the shipped fee")
    assert content_words("Đổi trả thế nào ạ") == content_words("doi tra")
    assert content_words("what is it") == []


def test_markdown_is_cleaned_and_figures_stay() -> None:
    assert clean("**Only** `E2` for [1,290,000 VND](https://x.example/a) *now*") == (
        "Only E2 for 1,290,000 VND (https://x.example/a) now"
    )
    assert clean("2 * 3 * 4 and <EMAIL_1> and snake_case_name") == "2 * 3 * 4 and <EMAIL_1> and snake_case_name"


def test_a_table_row_carries_its_columns_and_an_item_its_introduction() -> None:
    rows = [piece for piece in pieces(FEES.text, "Times and fees") if piece.kind == "row"]
    assert [row.text for row in rows][1] == "Malaysia — Days: 5 to 7; Fee: USD 9.80"
    assert rows[0].lead == "Times and fees"
    items = pieces("Send us these photos:\n- the box\n- the item,\n  from above", "Damage")
    assert [(item.text, item.lead) for item in items] == [
        ("the box", "Send us these photos:"),
        ("the item, from above", "Send us these photos:"),
    ]
    assert [piece.text for piece in pieces("| E2 | wet |\n| E3 | hot |")] == ["E2 — wet", "E3 — hot"]


@pytest.mark.parametrize("name", ["First use", "Trước lần dùng đầu", "How long does it last?"])
def test_the_heading_of_a_section_that_was_joined_is_no_part_of_a_sentence(name: str) -> None:
    text = f"It holds 1.7 L and\nweighs little.\n\n{name}\nBoil it twice. Pour the water away.\n\nNothing else\n\nis needed."
    found = [(piece.text, piece.heading) for piece in pieces(text, "Facts")]
    assert found == [
        ("It holds 1.7 L and weighs little.", "Facts"),
        ("Boil it twice.", name),
        ("Pour the water away.", name),
        ("Nothing else", name),
        ("is needed.", name),
    ]


def test_where_words_do_not_tell_meaning_is_asked_of_every_passage_that_is_looked_at() -> None:
    shop = [replace(RETURNS, id=f"idle#{n}", article=f"idle{n}", text="Ask. Wait. Rest.") for n in range(4)]
    japan = replace(RETURNS, id="far#0", article="far", text="We ship to Japan.")
    assert quoted("Nhật?", *shop, japan, embedder=Countries())[0] == ("far#0", "We ship to Japan.")


def test_the_row_that_is_asked_for_is_quoted() -> None:
    ((place, text), *_) = quoted("What is the fee to Malaysia?", FEES, RETURNS)
    assert place == "fees#1"
    assert "Malaysia — Days: 5 to 7; Fee: USD 9.80" in text
    assert "Japan" not in text


def test_another_question_gets_another_quote() -> None:
    assert quoted("Within how many days may I return a pan?", RETURNS, FEES)[0][0] == "returns#0"
    assert "30 days" in quoted("Within how many days may I return a pan?", RETURNS, FEES)[0][1]
    assert quoted("fee to Singapore?", RETURNS, FEES)[0][0] == "fees#1"


def test_an_item_comes_with_its_heading_and_without_the_others() -> None:
    text = dict(quoted("Can I return gift cards?", CANNOT))["returns#2"]
    assert text == "What cannot be returned:\n- gift cards"


def test_steps_are_quoted_whole_and_in_order() -> None:
    text = dict(quoted("Do I have to upload a photo to return it?", STEPS))["how#1"]
    assert [line[:8] for line in text.splitlines()] == ["Steps:", "- Open A", "- Upload", "- Write ", "- Bring "]
    assert "**" not in text


def test_a_heading_that_answers_comes_along() -> None:
    passage = Passage(
        "p#1", "p", "Paying", "American Express, PayPal and cheques. One card an order.", 1.0, "What we do not accept"
    )
    assert quoted("Do you accept American Express?", passage) == [
        ("p#1", "What we do not accept:\nAmerican Express, PayPal and cheques. One card an order.")
    ]


def test_the_condition_after_the_sentence_is_quoted_too() -> None:
    filler = " ".join(f"Sentence {number} says something else about lamps and pots." for number in range(8))
    text = f"{filler} Engraved items can be exchanged. This needs the receipt. {filler}"
    passage = Passage("p#0", "p", "Rules", text, 1.0)
    found = quoted("can engraved items be exchanged?", passage)[0][1]
    assert "Engraved items can be exchanged. This needs the receipt." in found
    assert len(found) < 300


def test_two_articles_are_quoted_where_both_answer() -> None:
    found = quoted("How many days do I have to return it, and what is the fee to Japan?", RETURNS, FEES)
    assert {place for place, _ in found} == {"returns#0", "fees#1"}
    assert len(quoted("How many days do I have?", RETURNS, FEES, CANNOT, STEPS)) <= 2


def test_meaning_decides_where_the_languages_differ() -> None:
    embedder = Countries()
    text = quoted("Gửi sang Nhật mất bao nhiêu tiền?", FEES, embedder=embedder)[0][1]
    assert "Japan — Days: 6 to 9; Fee: USD 14.00" in text
    assert 1 < len(embedder.asked) <= 7


def test_words_decide_while_the_weights_are_absent() -> None:
    assert quoted("fee to Malaysia", FEES, embedder=Countries(broken=True)) == quoted("fee to Malaysia", FEES)


def test_nothing_to_quote() -> None:
    assert quoted("anything?") == []
    assert quoted("anything?", Passage("p#0", "p", "T", "", 1.0)) == []


def test_every_figure_of_a_quote_stands_in_its_passage() -> None:
    for question in ("how long and how much to Japan", "return", "photo", "gift card"):
        for passage, text in asyncio.run(quote(question, [FEES, RETURNS, CANNOT, STEPS], embedder=WordEmbedder())):
            assert numbers(text) <= numbers(passage.text + passage.section)


@pytest.mark.parametrize(
    ("question", "pointer", "answer"),
    [
        (
            "How do I return a pan?",
            'How to return a pan is described in "Pans, and how to return them".',
            "To return it, write to the workshop.",
        ),
        ("Làm sao để trả lại chảo?", "Cách trả lại chảo: xem thêm bài về chảo.", "Để trả lại, hãy viết cho xưởng."),
    ],
)
def test_a_piece_that_points_elsewhere_gives_way(question, pointer, answer) -> None:
    """Even where it holds more of the question's words."""
    filler = "The workshop is red and lies by the sea. " * 8
    passages = [Passage(f"{n}#0", f"{n}", "T", text, 1.0) for n, text in enumerate([f"{filler}{answer}", pointer])]
    assert quoted(question, *passages)[0][0] == "0#0"
    assert answer in quoted(question, *passages)[0][1]


def test_where_words_tell_no_meaning_is_computed() -> None:
    embedder = Countries()
    assert "Malaysia" in quoted("What is the fee to Malaysia?", FEES, RETURNS, embedder=embedder)[0][1]
    assert embedder.asked == []


def cited(answer: str, *passages: Passage, embedder: Countries | None = None) -> list[tuple[str, str]]:
    return [(passage.id, text) for passage, text in asyncio.run(cite(answer, passages, embedder=embedder))]


def test_an_answer_comes_from_where_its_sentences_stand_and_no_meaning_is_computed() -> None:
    """The best passage says none of them; the greeting stands nowhere, and is nobody's."""
    embedder = Countries()
    answer = "Hello and thanks for your patience! Shipping to Malaysia takes 5 to 7 days, and the fee is USD 9.80."
    found = cited(answer, RETURNS, FEES, CANNOT, STEPS, embedder=embedder)
    assert [place for place, _ in found] == ["fees#1"]
    assert "Malaysia" in found[0][1]
    assert embedder.asked == []


def test_an_answer_of_two_articles_has_both_the_one_that_says_most_of_it_first() -> None:
    answer = "To return a product, upload one photo. Bring the box to a post office within 7 days. Gift cards cannot be returned."
    assert [place for place, _ in cited(answer, CANNOT, RETURNS, STEPS)] == ["how#1", "returns#2"]


def test_of_an_answer_from_three_passages_two_are_cited() -> None:
    answer = (
        "Upload one photo. Write the code on the box. Gift cards cannot be returned. The fee to Japan is USD 14.00."
    )
    assert len(cited(answer, CANNOT, FEES, STEPS)) == 2


def test_an_answer_in_other_words_is_found_by_its_meaning() -> None:
    embedder = Countries()
    found = cited("Gửi hàng sang Nhật tốn kém hơn.", FEES, embedder=embedder)
    assert "Japan — Days: 6 to 9; Fee: USD 14.00" in found[0][1]
    assert embedder.asked


def test_words_of_an_answer_count_whole_beside_passages_in_another_language() -> None:
    embedder = Countries()
    abroad = replace(RETURNS, id="vi#0", article="vi", text="Đổi trả trong 30 ngày.", language="vi")
    assert [place for place, _ in cited("The fee to Malaysia is USD 9.80.", abroad, FEES, embedder=embedder)] == [
        "fees#1"
    ]
    assert embedder.asked == []


def test_nothing_to_cite() -> None:
    assert cited("Anything at all.") == []
    assert cited("Anything at all.", Passage("p#0", "p", "T", "", 1.0)) == []
