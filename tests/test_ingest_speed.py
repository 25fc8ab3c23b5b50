"""The account of what an ingest costs."""

import asyncio
import json
import re

import pytest

from evals.ingest_speed import measured


@pytest.mark.slow
def test_an_ingest_is_measured_beside_the_bare_model(tmp_path):
    rows = [{"id": f"a{n}", "title": f"Lamp {n}", "text": f"Lamp {n} costs {n} euros. " * 20} for n in range(70)]
    (tmp_path / "kb.jsonl").write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    first, parts, rates = asyncio.run(measured(tmp_path / "kb.jsonl")).splitlines()
    assert re.fullmatch(r"70 articles, 70 passages of \d+ tokens", first)
    whole, embedding, rest = (float(number) for number in re.findall(r"\d+\.\d", parts))
    assert whole == pytest.approx(embedding + rest, abs=0.11)
    assert min(embedding, rest) > 0
    ours, bare = (float(number) for number in re.findall(r"(\d+\.\d)[ ,;]", rates)[:2])
    assert ours == pytest.approx(70 / embedding, rel=0.1)
    assert bare == pytest.approx(ours, rel=0.5)
