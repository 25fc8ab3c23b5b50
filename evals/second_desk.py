"""Another business needs no code: a knowledge base and questions of one that nobody here has written.

  python -m evals.second_desk DOCS.jsonl QUESTIONS.jsonl --name "Rho Bank" --about "accounts, cards, loans"

DOCS has `{id, title, text, audience?}` a line, QUESTIONS `{id, customer_lines[], scenario}`. Makes a desk of
a few lines in a temporary folder, ingests, puts every question through `frontdesk ask --jsonl` with the LLM
off, and writes the table between the markers of docs/second-desk.md.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parent.parent
PAGE = HOUSE / "docs" / "second-desk.md"
BEGIN, END = "<!-- table -->", "<!-- /table -->"
FRONTDESK = str(Path(sys.executable).parent / "frontdesk")
LONGEST_QUESTION = 3_900
RUN = 8
"""Words in a row that are no coincidence: an internal article was shown."""

Row = dict[str, Any]


def main() -> int:
    """Build the desk, ask, print; 1 if an internal article was shown or a question had no typed outcome."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    given.add_argument("docs", type=Path)
    given.add_argument("questions", type=Path)
    given.add_argument("--name", required=True)
    given.add_argument("--about", required=True)
    asked = given.parse_args()
    for path in (asked.docs, asked.questions):
        if not path.is_file():
            sys.stderr.write(f"{path}: not there, so nothing was measured\n")
            return 1
    docs, questions = _rows(asked.docs), _rows(asked.questions)
    with tempfile.TemporaryDirectory() as folder:
        replies, ingest_seconds, seconds = _put_through(Path(folder), asked, questions)
    shown = _internal_shown(docs, replies)
    lines = _table(questions, replies)
    outcomes = Counter(str(reply["outcome"]) for reply in replies.values())
    sourced = sum(bool(reply["sources"]) for reply in replies.values() if reply["outcome"] == "answer")
    lines += [
        "",
        (
            f"{len(docs)} articles ingested in {ingest_seconds:.0f} s; {len(replies)} of {len(questions)} questions in"
            f" {seconds:.0f} s: {', '.join(f'{count} {name}' for name, count in outcomes.most_common())};"
            f" {sourced} of {outcomes['answer']} answers with sources; {len(shown)} show words of an internal article."
        ),
    ]
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}", encoding="utf-8")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if shown or len(replies) < len(questions) else 0


def _put_through(folder: Path, asked: argparse.Namespace, questions: list[Row]) -> tuple[dict[str, Row], float, float]:
    desk = folder / "desk"
    desk.mkdir()
    (desk / "desk.yaml").write_text(
        f"name: {json.dumps(asked.name)}\nscope:\n  describe: {json.dumps(asked.about)}\n", encoding="utf-8"
    )
    rows = [{"id": row["id"], "question": _opening(row)} for row in questions]
    (folder / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    started = time.perf_counter()
    _run(folder, "ingest", str(asked.docs.resolve()))
    ingested = time.perf_counter()
    said = _run(folder, "ask", "--jsonl", str(folder / "questions.jsonl"), "--json")
    replies = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return (
        {str(reply["id"]): reply for reply in replies if "outcome" in reply},
        ingested - started,
        time.perf_counter() - ingested,
    )


def _run(folder: Path, *words: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRONTDESK_", "LANGFUSE_"))}
    environment = {**kept, "FRONTDESK_HOME": str(folder / "home"), "FRONTDESK_LLM": "off", "OPENAI_API_KEY": ""}
    command = [FRONTDESK, *words, "--desk", str(folder / "desk")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if done.returncode:
        sys.exit(f"{' '.join(words)}: exit {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def _opening(row: Mapping[str, Any]) -> str:
    """The customer's first line, else the scenario."""
    return str((row["customer_lines"] or [row["scenario"]])[0])[:LONGEST_QUESTION]


def _internal_shown(docs: list[Row], replies: Mapping[str, Row]) -> list[str]:
    """Replies that share a run of words with an internal article and with no public one."""
    secret = _runs(doc["text"] for doc in docs if doc.get("audience") == "internal")
    public = _runs(doc["text"] for doc in docs if doc.get("audience") != "internal")
    return [
        name
        for name, reply in replies.items()
        if _runs([reply["answer"], *(source["quote"] for source in reply["sources"])]) & (secret - public)
    ]


def _runs(texts: Any) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for text in texts:
        words = re.findall(r"\w+", text.lower())
        found.update(tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1))
    return found


def _table(questions: list[Row], replies: Mapping[str, Row]) -> list[str]:
    lines = ["| question | outcome | reason | sources | needed one found |", "|---|---|---|---|---|"]
    for row in questions:
        reply = replies.get(str(row["id"]))
        if reply is None:
            lines.append(f"| {row['id']} | no reply | | | |")
            continue
        sources = [source["id"] for source in reply["sources"]]
        found = "yes" if set(sources) & set(row.get("relevant", [])) else "no"
        lines.append(f"| {row['id']} | {reply['outcome']} | {reply['reason'] or ''} | {len(sources)} | {found} |")
    return lines


def _rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


if __name__ == "__main__":
    sys.exit(main())
