"""What a question stands in: texts around it in its own language, and the table of what they cost."""

from types import SimpleNamespace

from evals.cases import Case
from evals.surroundings import BARE, SURROUNDINGS, surrounded, table


def test_every_surrounding_speaks_both_languages_and_has_a_place_for_the_question():
    for around in SURROUNDINGS.values():
        assert {*around} == {"en", "vi"}
        assert all(text.count("{}") == 1 for texts in around.values() for text in texts)


def test_a_question_stands_whole_in_a_text_of_its_own_language():
    around = {"en": ["Hello. {} Bye.", "Well, {}"], "vi": ["Chào shop. {}"]}
    cases = [
        Case(id=str(n), question=text, outcome="answer")
        for n, text in enumerate(["Do you ship to Oslo?", "Tôi muốn đổi trả hàng", "Where is {it}?"])
    ]
    told = [case.question for case in surrounded(cases, around)]
    assert told == ["Hello. Do you ship to Oslo? Bye.", "Chào shop. Tôi muốn đổi trả hàng", "Well, Where is {it}?"]


def test_the_table_holds_the_same_questions_against_each_other():
    bare, story = ({str(n): n < right for n in range(40)} for right in (30, 20))
    rows = table({BARE: SimpleNamespace(right=lambda: bare), "in a story": SimpleNamespace(right=lambda: story)})
    assert rows[2].startswith(f"| {BARE} | 40 | 0.750 | ")
    assert rows[3].startswith("| in a story | 40 | 0.500 | -0.250 (-0.")
