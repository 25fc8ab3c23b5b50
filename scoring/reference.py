"""Answers held against reference answers, by kept libraries: sacrebleu, rapidfuzz, and an embedder.

All are 0..1, higher is better, the best of several references. They tell likeness, not truth: a right answer in other
words scores low, a wrong number among the right words scores high.
"""

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import regex  # type: ignore[import-untyped]  # has no types of its own

from domain.errors import UsageError
from domain.ports import Embedder

PATTERN_SECONDS = 1.0
PERCENT = 100.0


def words(text: str) -> list[str]:
    """Words and numbers, without case; ROUGE's own tokenizer knows the letters a to z alone and would lose Vietnamese."""
    return [str(word) for word in regex.findall(r"\w+", unicodedata.normalize("NFC", text).casefold())]


def bleu(answer: str, references: Sequence[str]) -> float:
    """Sentence BLEU of up to four words in a row (sacrebleu, effective order). Raises UsageError where it is absent."""
    return float(_sacrebleu().sentence_bleu(answer, list(references), use_effective_order=True).score) / PERCENT


def chrf(answer: str, references: Sequence[str]) -> float:
    """chrF2: likeness by letters in a row (sacrebleu); the fairer of the two for Vietnamese and for short answers."""
    return float(_sacrebleu().sentence_chrf(answer, list(references)).score) / PERCENT


def corpus_bleu(answers: Sequence[str], references: Sequence[Sequence[str]]) -> float | None:
    """BLEU over all answers together, as papers report it; None without answers."""
    return float(_sacrebleu().corpus_bleu(list(answers), _streams(references)).score) / PERCENT if answers else None


def rouge_l(answer: str, references: Sequence[str]) -> float:
    """ROUGE-L: F-measure of the longest common subsequence of words (rapidfuzz), the best reference's."""
    lcs, said = _lcs(), words(answer)
    wanted = [words(one) for one in references]
    return max((2 * lcs(said, one) / (len(said) + len(one)) for one in wanted if said and one), default=0.0)


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1.0 if the words are those of a reference, whatever case, spaces and punctuation; else 0.0."""
    said = words(answer)
    return float(any(said == words(one) for one in references))


def regex_match(answer: str, pattern: str, seconds: float = PATTERN_SECONDS) -> float:
    """1.0 if the pattern is found in the answer, whatever case; else 0.0. Raises UsageError for one that takes too long."""
    try:
        return float(regex.search(pattern, answer, regex.IGNORECASE, timeout=seconds) is not None)
    except TimeoutError as fault:
        raise UsageError("takes too long", where=f"pattern {pattern!r}", fix="avoid nested repetitions") from fault


def pattern_fault(pattern: str) -> str:
    """What is wrong with a pattern; empty if nothing is."""
    try:
        regex.compile(pattern)
    except regex.error as fault:
        return f"regex {pattern!r}: {fault}"
    return ""


async def similarity(answer: str, references: Sequence[str], embedder: Embedder) -> float:
    """The nearest reference's cosine to the answer, not below 0. Raises WeightsError."""
    said = await embedder.query(answer)
    nearest = 0.0
    for one in references:
        other = await embedder.query(one)
        nearest = max(nearest, sum(a * b for a, b in zip(said, other, strict=True)))
    return min(1.0, nearest)


def _streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """References as sacrebleu takes them: the first of every row, the second of every row, and so on."""
    most = max(len(one) for one in references)
    return [[one[place] if place < len(one) else None for one in references] for place in range(most)]


def _sacrebleu() -> Any:
    try:
        import sacrebleu  # noqa: PLC0415  # optional, and half a second
    except ImportError as fault:
        raise _absent("sacrebleu") from fault
    return sacrebleu


def _lcs() -> Callable[[Sequence[str], Sequence[str]], int]:
    try:
        from rapidfuzz.distance.LCSseq import similarity as lcs  # noqa: PLC0415  # optional
    except ImportError as fault:
        raise _absent("rapidfuzz") from fault
    return lcs


def _absent(what: str) -> UsageError:
    return UsageError(f"{what} is not installed", where="reference metrics", fix="pip install 'frontdesk[metrics]'")
