"""Rows for fine-tuning: what a file may look like, what is said of a bad one, and that twins stay on one side."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import UsageError
from training.finetuning.rows import Columns, Example, read_examples
from training.finetuning.split import split_examples
from training.finetuning.twins import Groups, join_twins

TOPICS = ("kettle", "toaster", "blender", "fryer", "lamp", "chair", "desk", "sofa", "mirror", "carpet", "curtain")
VERBS = ("return", "repair", "clean", "assemble", "order", "cancel")


def rows() -> list[Example]:
    """Sixty-six rows that differ in every run of three words."""
    return [
        Example(f"{verb} {topic} {verb}{topic} how {topic}{verb}", f"{topic} {verb}: page{verb}{topic} {topic}")
        for topic in TOPICS
        for verb in VERBS
    ]


def written(tmp_path: Path, text: str | bytes, name: str = "rows.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_csv_is_read_whatever_its_delimiter_and_encoding_mark(tmp_path: Path) -> None:
    for text in (
        "instruction,response\nDổi trả?,Trong 30 ngày\n".encode("utf-8-sig"),
        "Instruction;Response\nDổi trả?;Trong 30 ngày\n".encode(),
        "instruction\tresponse\nDổi trả?\tTrong 30 ngày\n".encode("utf-16"),
    ):
        (row,) = read_examples(written(tmp_path, text)).rows
        assert (row.instruction, row.response) == ("Dổi trả?", "Trong 30 ngày")


def test_other_headers_are_named_with_those_that_are_needed(tmp_path: Path) -> None:
    path = written(tmp_path, "q,a\nhow,so\n")
    with pytest.raises(UsageError) as fault:
        read_examples(path)
    said = str(fault.value)
    assert "needs the columns instruction and response, and has q, a" in said
    assert "--instruction COLUMN --response COLUMN" in said
    assert read_examples(path, Columns("q", "a")).rows[0].response == "so"


def test_a_broken_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"rows\.csv:3: is not UTF-8: byte 0xe9"):
        read_examples(written(tmp_path, b"instruction,response\na,b\ncaf\xe9,b\n"))
    with pytest.raises(UsageError, match="is no CSV"):
        read_examples(written(tmp_path, 'instruction,response\n"a,b\n'))
    with pytest.raises(UsageError, match="cannot be read"):
        read_examples(tmp_path / "absent.csv")


def test_rows_that_are_none_are_left_out_by_their_line(tmp_path: Path) -> None:
    found = read_examples(written(tmp_path, "instruction,response\na,b\n,b\nc,\nd,e,f\ng\n"))
    assert [row.instruction for row in found.rows] == ["a"]
    assert [line.partition(": ")[0] for line in found.left_out] == [f"rows.csv:{n}" for n in (3, 4, 5, 6)]


def test_json_rows_conversations_and_accepted_cases_are_read(tmp_path: Path) -> None:
    lines: list[object] = [
        {"instruction": "a", "response": "b", "input": "seen"},
        {"id": "c1", "question": "q", "outcome": "answer", "answer": "right"},
        {"id": "c2", "question": "q", "outcome": "dont_know"},
        {"id": "c3", "question": "q", "outcome": "answer", "facts": [["30 days"]]},
        {
            "messages": [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": "hi"},
                {"role": "user", "content": "and now?"},
                {"role": "assistant", "content": "this"},
                {"role": "user", "content": "thanks"},
            ]
        },
        {"messages": "none"},
        ["no object"],
        {"prompt": 3, "completion": "x"},
        {"prompt": "half \ud800", "completion": "x"},
    ]
    body = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n{broken\n\xff\xfe\n"
    found = read_examples(written(tmp_path, body, "rows.jsonl"))
    assert [(row.asked, row.response) for row in found.rows] == [
        ("seen\n\na", "b"),
        ("q", "right"),
        ("user: hello\nassistant: hi\n\nand now?", "this"),
    ]
    assert [line.partition(": ")[0] for line in found.left_out] == [
        f"rows.jsonl:{n}" for n in (3, 4, 6, 7, 8, 9, 10, 11)
    ]


def test_a_file_without_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not one row: rows\.jsonl:1: is no JSON object"):
        read_examples(written(tmp_path, "[]\n", "rows.jsonl"))


def test_twins_are_found_over_numbers_diacritics_and_small_changes() -> None:
    texts = [
        "Track my parcel #12 please, it is late",
        "track my parcel #977 please it is late",
        "How long does a refund take to arrive on my card?",
        "How long does a refund take to arrive on my card then?",
        "Tôi muốn đổi trả đôi giày này",
        "toi muon doi tra doi giay nay",
        "Which sofas come in green?",
        "??",
        "!!",
    ]
    groups = Groups(len(texts))
    join_twins(texts, groups)
    assert groups.all() == [0, 0, 2, 2, 4, 4, 6, 7, 8]


def test_the_parts_are_whole_disjoint_and_the_same_for_the_same_seed() -> None:
    given_rows = rows()
    split = split_examples(given_rows, 1)
    parts = [{row.asked for row in part} for part in (split.train, split.validation, split.held_out)]
    assert sum(map(len, parts)) == len(given_rows) == len(set.union(*parts))
    assert [len(part) for part in parts[1:]] == [7, 7]
    assert split_examples(given_rows, 1) == split
    assert split_examples(given_rows, 2).held_out != split.held_out


def test_duplicates_across_the_split_are_found_reported_and_kept_together() -> None:
    copied = [Example(f"{row.instruction} #{n}", row.response) for row in rows() for n in range(4)]
    split = split_examples(copied, 1)
    learnt = {row.response for row in [*split.train, *split.validation]}
    assert split.groups == len(rows())
    assert not learnt & {row.response for row in split.held_out}
    assert split.across > len(split.held_out) / 2
    assert any(str(split.across) in line and "near-duplicates" in line for line in split.warnings)


def test_repeated_rows_are_learnt_once() -> None:
    split = split_examples(rows() * 3, 1)
    assert split.repeated == 2 * len(rows())
    assert len(split.train) + len(split.validation) + len(split.held_out) == len(rows())


def test_rows_of_another_file_are_measured_on_and_their_twins_are_not_learnt() -> None:
    own = rows()
    kept = [Example(f"{row.instruction} #7", row.response) for row in own[:5]]
    split = split_examples(own, 1, kept)
    assert split.held_out == kept
    assert split.across == 5
    assert not {row.response for row in [*split.train, *split.validation]} & {row.response for row in kept}


def test_one_response_for_most_rows_does_not_tie_them_all_together() -> None:
    canned = [Example(row.instruction, "Please write to us.") for row in rows()[:50]] + rows()[50:]
    split = split_examples(canned, 1)
    assert split.held_out
    assert split.shared_responses > 0
    assert any("most rows share one response" in line for line in split.warnings)


@pytest.mark.parametrize(
    ("some", "what"),
    [
        (rows()[:2], "2 different rows are too few"),
        (rows()[:1] * 40, r"1 different rows are too few \(39 more repeat them\)"),
        ([Example(row.instruction, "refund") for row in rows()], "have the same response"),
        ([Example(f"Where is parcel {n}", f"Parcel {n} is on its way") for n in range(50)], "the same response"),
        (
            [
                Example(f"Which {word} is number {n}", f"The {word} there, number {n}")
                for n in range(9)
                for word in TOPICS[:3]
            ],
            "only 3 that differ",
        ),
    ],
)
def test_what_cannot_be_learnt_is_refused(some: list[Example], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        split_examples(some, 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.lists(st.tuples(st.integers(0, 10), st.integers(0, 5)), min_size=30, max_size=90))
def test_no_text_ever_stands_on_two_sides(seed: int, picked: list[tuple[int, int]]) -> None:
    chosen = [rows()[topic * len(VERBS) + verb] for topic, verb in picked]
    try:
        split = split_examples(chosen, seed)
    except UsageError:
        return
    learnt = {row.instruction for row in [*split.train, *split.validation]}
    assert not learnt & {row.instruction for row in split.held_out}
