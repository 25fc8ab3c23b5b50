"""The subjects that need a desk: answers from its passages, and follow-ups rewritten so that its search finds them."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from domain.errors import UsageError
from domain.ports import Embedder, ModelCard, Searcher
from domain.profile import DeskProfile
from domain.turn import Passage
from evals.cases import FILES, Case, read_cases
from evals.matching import says, says_one
from models.language import detect_language
from nodes.generate import LANGUAGE_NAMES, READ, READ_BY_A_WEAK_MODEL, numbered
from nodes.quotation import near_the_best
from nodes.route import REWRITE_TOKENS
from prompts import DONT_KNOW, Prompt
from scoring import cut
from scoring.dont_know import says_dont_know
from scoring.grounding import unsupported_numbers
from training.asking import Asking, Said, Wish
from training.subjects import NO, YES, Mark, Row, Subject

FOUND = 5
"""Articles among which the one that is meant should be, the first best."""


class Shelf:
    """The desk as these subjects see it: its search, what it is called, and who will read the passages."""

    def __init__(
        self, profile: DeskProfile, search: Searcher, embedder: Embedder, *, top_k: int, reader: ModelCard
    ) -> None:
        self.profile, self.search, self.top_k, self.reader = profile, search, top_k, reader
        self._embedder = embedder

    async def passages(self, question: str) -> list[Passage]:
        """What the reader would be shown."""
        found = near_the_best((await self.search.search(question, self.top_k)).passages)
        return await cut(question, found, READ_BY_A_WEAK_MODEL if self.reader.weak else READ, embedder=self._embedder)


class Judging:
    """A judge beside the rules: P(yes) of the prompt `judge`, asked of a model by name."""

    def __init__(self, asking: Asking, prompt: Prompt, model: str) -> None:
        self._asking, self._prompt, self._model = asking, prompt, model

    async def helpful(self, question: str, answer: str, passages: str) -> float | None:
        """0..1; None where it said neither."""
        messages = self._prompt.render(question=question, answer=answer, passages=passages)
        said = await self._asking.ask(Wish(self._model, messages, 1, (YES, NO), self._prompt.label))
        return said.probabilities.get(YES)


async def answer_subject(
    shelf: Shelf, folder: Path, *, data: Path | None = None, held_out: Path | None = None, judge: Judging | None = None
) -> Subject:
    """Answers from passages, and don't-knows, by the desk's cases (or a file's). Raises UsageError."""
    notes: list[str] = []
    cases, apart = _cases(folder, data, held_out, notes)

    async def made(given: Sequence[Case]) -> list[Row]:
        wanted = [case for case in given if case.outcome == "dont_know" or (case.outcome == "answer" and case.facts)]
        rows = [await _answer_row(case, shelf, judge) for case in wanted if not case.history]
        kept = [row for row in rows if row is not None]
        if len(kept) < len(rows):
            notes.append(f"{len(rows) - len(kept)} cases left out: search does not find their article")
        return kept

    rows = await made(cases)
    held = await made(apart) if apart is not None else None
    return Subject("answer", rows, held, max_tokens=shelf.reader.max_tokens, notes=notes)


async def rewrite_subject(
    shelf: Shelf, folder: Path, *, data: Path | None = None, held_out: Path | None = None
) -> Subject:
    """Follow-ups rewritten to stand alone, by the place of their article in the search. Raises UsageError."""
    notes: list[str] = []
    cases, apart = _cases(folder, data, held_out, notes)

    def made(given: Sequence[Case]) -> list[Row]:
        return [_rewrite_row(case, shelf) for case in given if case.history and case.relevant]

    return Subject("rewrite", made(cases), made(apart) if apart else None, max_tokens=REWRITE_TOKENS, notes=notes)


def _cases(
    folder: Path, data: Path | None, held_out: Path | None, notes: list[str]
) -> tuple[list[Case], list[Case] | None]:
    """Of the desk, or of a file; `None`: what is held out is to be split off."""
    own = folder / "cases"
    files = [data] if data else [own / name for name in FILES["dev"]]
    apart = [held_out] if held_out else [] if data else [own / name for name in FILES["held_out"]]
    if not data and not files[0].is_file():
        raise UsageError("this desk has no cases", where=str(files[0]), fix="add some, or pass --data FILE")
    cases, broken = read_cases([path for path in files if data or path.is_file()])
    kept, odd = read_cases([path for path in apart if held_out or path.is_file()])
    notes += [f"{row.id}: left out: {row.why}" for row in [*broken, *odd]]
    return cases, kept or None


async def _answer_row(case: Case, shelf: Shelf, judge: Judging | None) -> Row | None:
    passages = await shelf.passages(case.question)
    held = {passage.article for passage in passages}
    if case.outcome == "answer" and case.relevant and not held & set(case.relevant):
        return None
    language = detect_language(case.question, shelf.profile.languages)
    variables = {
        "desk": shelf.profile.name,
        "tone": shelf.profile.tone,
        "language": LANGUAGE_NAMES[language],
        "passages": "\n\n".join(numbered(passages)),
        "history": "",
        "question": case.question,
    }
    marker = _answer_marker(case, passages, variables["passages"], judge)
    return Row(case.id, case.question, language, variables, marker, case.outcome)


def _answer_marker(
    case: Case, passages: Sequence[Passage], shown: str, judge: Judging | None
) -> Callable[[Said], Awaitable[Mark]]:
    async def mark(said: Said) -> Mark:
        found = _by_rules(case, said.text.strip(), passages)
        opinion = await judge.helpful(case.question, said.text, shown) if judge and found.right else None
        if opinion is None:
            return found
        return Mark((found.score + opinion) / 2, found.right, f"{found.feedback} A judge gives it {opinion:.2f} of 1.")

    return mark


def _by_rules(case: Case, text: str, passages: Sequence[Passage]) -> Mark:
    """Facts, what must not be said, don't-knows in their place, and numbers that stand in a passage."""
    unknown = text.lower().startswith(DONT_KNOW.lower()) or says_dont_know(text).found
    if case.outcome == "dont_know":
        if unknown:
            return Mark(1.0, right=True, feedback="Right: the passages do not hold the answer, and it says so.")
        return Mark(
            0.0, right=False, feedback=f"Wrong: the passages do not hold the answer; it had to say {DONT_KNOW}."
        )
    missing = [" or ".join(wordings) for wordings in case.facts if not says_one(text, wordings)]
    faults = [f"without {fact}" for fact in missing]
    faults += [f"it must not say {wording}" for wording in case.must_not if says(text, wording)]
    if unknown:
        faults = ["it says that it does not know, and the passages hold the answer"]
    if odd := unsupported_numbers(text, case.question, passages):
        faults.append(f"numbers that stand in no passage: {', '.join(odd)}")
    if not faults:
        return Mark(1.0, right=True, feedback="Right: every fact, nothing that must not be said.")
    partly = 0.0 if unknown or len(faults) > len(missing) else 1 - len(missing) / len(case.facts)
    return Mark(partly, right=False, feedback=f"Wrong: {'; '.join(faults)}.")


def _rewrite_row(case: Case, shelf: Shelf) -> Row:
    history = "\n".join(f"{line.role}: {line.text}" for line in case.history)
    language = detect_language(case.question, shelf.profile.languages)

    async def mark(said: Said) -> Mark:
        text = said.text.strip()
        found = await shelf.search.search(text, shelf.top_k * FOUND) if text else None
        articles = list(dict.fromkeys(passage.article for passage in found.passages)) if found else []
        place = next((place for place, one in enumerate(articles[:FOUND], start=1) if one in case.relevant), 0)
        if place == 1:
            return Mark(1.0, right=True, feedback="Right: search finds the article that is meant.")
        where = f"only in place {place}" if place else "not at all"
        return Mark(
            1 / place if place else 0.0,
            right=False,
            feedback=f"Wrong: searched with {text[:120]!r}, the article that is meant is found {where}.",
        )

    return Row(case.id, f"{history}\n{case.question}", language, {"history": history, "question": case.question}, mark)
