"""Desks with articles, whom scope keeps and what slips in: what is asked of them and how it is told."""

from pathlib import Path

import yaml

from evals.small_businesses import BUSINESSES, businesses
from evals.strangers import DESKS as STRANGERS
from evals.strangers import read_strangers
from evals.vouching import FILE, FORMS, Judged, Material, asked_of, questions_of, report


def material() -> Material:
    return Material.model_validate(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def test_every_business_has_its_files_and_a_split() -> None:
    known = material()
    assert {one.split for one in businesses()} == {"dev", "held_out"}
    assert {f"{one.name}.jsonl" for one in businesses()} <= {path.name for path in BUSINESSES.iterdir()}
    assert not set(known.anybody["en"]) & set(
        yaml.safe_load((BUSINESSES.parents[1] / "guards/scope_in.yaml").read_text("utf-8"))["en"]
    )


def test_who_speaks_one_language_is_asked_in_it(tmp_path: Path) -> None:
    for source in (source for one in read_strangers(STRANGERS).requests for source in one.sources if source.file):
        path = tmp_path / source.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"text": "Sing", "label": "benign", "domain": "oos", "intent": "timer"}\n', encoding="utf-8")
    hostel = next(one for one in businesses() if one.name == "hostel")
    both, alone = (asked_of(hostel, languages, material(), tmp_path) for languages in (["en", "vi"], ["en"]))
    assert set(alone["far"]) < set(both["far"])
    assert len(both["anybody"]) == len(alone["anybody"]) + len(material().anybody["vi"])
    assert any("Rooms and what they cost" in text for text in alone["in disguise"])
    assert len(questions_of(hostel, ["en", "vi"])[0]) == 2 * len(questions_of(hostel, ["en"])[0])


def test_what_is_told_is_the_share_that_is_out_with_the_articles_and_without() -> None:
    judged = [Judged("own", out=False, out_without=True), Judged("own", out=False, out_without=False)]
    lines = report({("hostel", FORMS[0]): judged, ("hostel", FORMS[1]): [Judged("far", out=True, out_without=True)]})
    assert "0.000 (0.500; 2)" in next(line for line in lines.splitlines() if "all, 0 examples" in line)
    assert "1.000 (1.000; 1)" in next(line for line in lines.splitlines() if "hostel, 10 examples" in line)
