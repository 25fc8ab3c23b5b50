"""What stands around a question, and what it costs in right answers: courtesies, introductions, stories.

A desk's cases by quotation, as they are and inside what customers write around a question: `python -m evals.surroundings`.
Small talk and questions back stay out: a greeting behind a story is another message.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from domain.settings import read_settings
from evals.asking import opened
from evals.cases import FILES, Case, read_cases
from evals.paired import difference_interval, pair
from evals.run import Run
from evals.suites.desk import Taken, take
from graph.profiles import find_desk

Around = Mapping[str, Sequence[str]]
"""Texts by language; `{}` is where the question goes."""
BARE = "as it is"
SURROUNDINGS: dict[str, Around] = {
    "in courtesies": {
        "en": (
            "Good afternoon! First of all, let me thank you for the lovely service so far. {} Any help is much appreciated!",
            "Hey folks, me again :)\n{}\nCheers, Tom",
            "To whom it may concern,\n\n{}\n\nThanks a bunch, and have a lovely weekend.",
            "Hi, hope all is well with you over there. {} I'd be glad to hear from you soon. Best, Maria",
        ),
        "vi": (
            "Em chào anh chị ạ, em là khách hàng bên mình. {} Em cảm ơn anh chị nhiều ạ.",
            "Shop ơi cho em hỏi với ạ. {} Mong sớm nhận được hồi âm từ shop.",
            "Chào bạn, chúc bạn buổi sáng vui vẻ.\n{}\nCảm ơn bạn đã dành thời gian đọc tin.",
            "Dạ em xin phép hỏi một chút. {}\nThân, Minh",
        ),
    },
    "behind an introduction": {
        "en": (
            "Hello, Priya Nair here (priya.nair@example.org). {}",
            "I'm Tomasz Zielinski and you can reach me on +44 7700 900123. {}",
        ),
        "vi": (
            "Em là Phạm Thu Hà, sđt 0912345678 ạ. {}",
            "Mình tên Lê Quốc Bảo, mail bao.le@example.com, ở 25 Nguyễn Trãi, Hà Nội. {}",
        ),
    },
    "behind a story": {
        "en": (
            "We moved house last month and everything is still in boxes. {}",
            "My mother turned seventy on Sunday and the whole family came to visit. {}",
        ),
        "vi": (
            "Tháng trước nhà em mới chuyển về chung cư, đồ đạc còn bừa bộn lắm. {}",
            "Hôm chủ nhật cả nhà em tụ tập ăn mừng sinh nhật bà ngoại, vui lắm. {}",
        ),
    },
}


def surrounded(cases: Sequence[Case], around: Around) -> list[Case]:
    """Each case inside a text in its own language, in turn."""
    from models.language import LANGUAGES, detect_language  # noqa: PLC0415  # its tables take a moment

    turns = {language: cycle(texts) for language, texts in around.items()}
    return [
        case.model_copy(
            update={"question": next(turns[detect_language(case.question, LANGUAGES)]).replace("{}", case.question)}
        )
        for case in cases
    ]


async def measure(run: Run, folder: Path) -> dict[str, Taken]:
    """A desk's dev cases as they are and inside each of `SURROUNDINGS`; files of cases are written to `folder`."""
    files = [find_desk(run.settings.desk) / "cases" / name for name in FILES["dev"]]
    cases = [case for case in read_cases([path for path in files if path.is_file()])[0] if case.reason is None]
    asked = {BARE: cases} | {name: surrounded(cases, around) for name, around in SURROUNDINGS.items()}
    taken = {}
    async with opened(run) as service:
        for name, rows in asked.items():
            data = folder / f"{name}.jsonl"
            data.write_text("\n".join(row.model_dump_json() for row in rows), encoding="utf-8")
            run.say(name)
            taken[name] = await take(replace(run, data=data), service)
    return taken


def table(taken: Mapping[str, Taken]) -> list[str]:
    """Right answers, and how many more than of the bare question, with a 95 % interval, as Markdown."""
    lines = ["| the question | n | right | more than bare (95 %) |", "|---|---|---|---|"]
    for name, one in taken.items():
        both = pair(taken[BARE].right(), one.right())
        kept = both.both - len(both.lost) - len(both.won)
        interval = difference_interval([-1] * len(both.lost) + [1] * len(both.won) + [0] * kept)
        right = sum(one.right().values()) / both.both
        between = f" ({interval[0]:+.3f} to {interval[1]:+.3f})" if interval else ""
        less = "" if name == BARE else f"{both.difference:+.3f}{between}"
        lines.append(f"| {name} | {both.both} | {right:.3f} | {less} |")
    return lines


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--desk", default="shop", help="a name or a folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        settings = read_settings(desk=given.desk, llm="off").model_copy(update={"home": home})
        run = Run(settings, say=_say, progress=lambda *_: None)
        sys.stdout.write("\n".join(table(asyncio.run(measure(run, home)))) + "\n")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
