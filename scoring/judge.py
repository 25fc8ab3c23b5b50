"""The local judge: what can be trusted without a reference answer and without a large model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from domain.errors import ModelError, WeightsError
from domain.ports import ChatModel, ChatRequest, Embedder, ModelCard
from domain.turn import Call, Language, Message, Outcome, Passage, Payer, Score
from scoring.faithfulness import faithfulness, share
from scoring.grounding import nearness, unsupported_numbers
from scoring.text import STOP_EN, content_words

DIMENSIONS = ("grounding", "numbers", "relevance", "language", "conciseness", "helpful")
WEIGHTS = {"grounding": 0.3, "numbers": 0.15, "relevance": 0.25, "language": 0.05, "conciseness": 0.05, "helpful": 0.2}
CORE = frozenset({"grounding", "relevance", "helpful"})
"""Without one of these there is nothing to say about an answer as a whole."""

MEANT, WORDED, BASE = 0.910, 0.270, -0.076
"""People's rating (0 worst, 1 best) by likeness in meaning and by the question's words in the answer.

Ridge regression on the rated answers of half of FeedbackQA's questions (Apache-2.0), 813 of 1,641. The answer's length
would add .02 to the rank correlation and is left out: it would reward padding.
"""

BRIEF, LENGTHY = 80, 300
"""Words up to which an answer is as brief as it should be, and from which it is far too long."""
VIETNAMESE = re.compile("[ăâđêôơưạảãấầẩẫậắằẳẵặẹẻẽếềểễệịỉĩọỏõốồổỗộớờởỡợụủũứừửữựỳỵỷỹ]", re.IGNORECASE)
VIETNAMESE_FROM = 0.2
"""Share of words with a Vietnamese letter; Vietnamese texts have about 0.6, names in English ones few."""
SURE_OF_LANGUAGE = 3
AGREEMENT = (
    "against people: relevance tells good answers from bad in .68 (FeedbackQA; people among themselves .72), grounding"
    " ranks at AUROC .86 (QAGS); numbers, language and conciseness are rules; helpful is as good as its model"
)
"""What its scores are worth, for whoever reads them: the figures of docs/evaluation.md on rows that nothing was fitted to."""
YES, NO = "yes", "no"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The scores of an answer, and the attempts at a model that one of them took."""

    scores: list[Score]
    calls: list[Call] = field(default_factory=list)


class Asks(Protocol):
    """Renders the question put to the judging model (the prompt `judge`)."""

    def __call__(self, *, question: str, answer: str, passages: str) -> list[Message]: ...


class LocalJudge:
    """Scores an answer by its passages. A dimension that cannot be scored is unscored, and says why.

    Only an answer has all dimensions; of a refusal, a don't-know or a handoff only language and length
    can be judged. `helpful` is the P(yes) of the cheapest model that is up, weak where that is small.
    """

    def __init__(
        self, embedder: Embedder, chat: ChatModel | None = None, asks: Asks | None = None, prompt: str = ""
    ) -> None:
        """`prompt` is the label of what `asks` renders."""
        self._embedder = embedder
        self._chat = chat
        self._asks = asks
        self._prompt = prompt

    async def score(
        self,
        *,
        question: str,
        answer: str,
        passages: Sequence[Passage],
        language: Language,
        outcome: Outcome = "answer",
        payer: Payer | None = None,
        written_by: str = "",
    ) -> Judgement:
        """Scores of all `DIMENSIONS`, in that order; what a model is asked for them is on `payer`'s account.

        `written_by`: the model that wrote the answer. Where it judges that itself, its score says so.
        """
        form = [_language(answer, language), _conciseness(answer)]
        if outcome != "answer":
            why = f"{outcome}: there is no answer to judge"
            unscored = {name: Score(name, None, why) for name in DIMENSIONS}
            return Judgement(list((unscored | {score.name: score for score in form}).values()))
        helpful, calls = await self.helpful(question, answer, passages, payer=payer, written_by=written_by)
        scores = [
            await self._grounding(answer, passages),
            _numbers(answer, question, passages),
            await self.relevance(question, answer),
            *form,
            helpful,
        ]
        return Judgement(scores, calls)

    async def _grounding(self, answer: str, passages: Sequence[Passage]) -> Score:
        if not passages:
            return Score("grounding", None, "no passage was used")
        try:
            texts = [f"{one.title}\n\n{one.section}\n\n{one.text}" for one in passages]
            found = await faithfulness(answer, texts, self._embedder)
        except WeightsError as fault:
            return Score("grounding", None, f"the embedder cannot be used: {type(fault).__name__}")
        if found is None:
            return Score("grounding", None, "the answer says nothing")
        how = f"{found.sentences} sentences, the weakest {share(found.weakest):.2f}"
        return Score("grounding", round(found.score, 4), how)

    async def relevance(self, question: str, answer: str) -> Score:
        """How far the answer is about the question, 0..1, as people would rate it."""
        asked = set(content_words(question))
        if not asked or not content_words(answer):
            return Score("relevance", None, "question or answer has no word of content")
        try:
            near = await nearness(question, answer, self._embedder)
        except WeightsError as fault:
            return Score("relevance", None, f"the embedder cannot be used: {type(fault).__name__}")
        cover = len(asked & set(content_words(answer))) / len(asked)
        rated = MEANT * near + WORDED * cover + BASE
        return Score("relevance", round(max(0.0, min(1.0, rated)), 4), f"meaning {near:.2f}, words {cover:.2f}")

    async def helpful(
        self,
        question: str,
        answer: str,
        passages: Sequence[Passage],
        *,
        payer: Payer | None = None,
        written_by: str = "",
        card: ModelCard | None = None,
    ) -> tuple[Score, list[Call]]:
        """P(yes) of a model to the prompt `judge`, and the attempts. `card`: which model; else the cheapest that is up."""
        if self._chat and self._asks and card is None:
            card = self._chat.choose("simple", 1.0)
        if card is None or self._chat is None or self._asks is None:
            return Score("helpful", None, "no model is up"), []
        shown = "\n\n".join("\n".join(filter(None, (one.title, one.section, one.text))) for one in passages)
        messages = self._asks(question=question, answer=answer, passages=shown)
        try:
            reply = await self._chat.complete(
                ChatRequest("judge", card.name, messages, 1, (YES, NO), payer or Payer(), self._prompt)
            )
        except ModelError as fault:
            return Score("helpful", None, f"{card.name} did not answer: {type(fault).__name__}"), fault.calls
        sure = reply.probabilities.get(YES)
        if sure is None or not 0.0 <= sure <= 1.0:
            return Score("helpful", None, f"{card.name} gave no probability"), reply.calls
        spoke = reply.card or card
        own = ", which wrote the answer" if spoke.name == written_by else ""
        how = f"P(yes) of {spoke.name}{own}{', a weak judge' if spoke.weak else ''}"
        return Score("helpful", round(sure, 4), how), reply.calls


def on_scale(value: float, worst: float = 1.0, best: float = 5.0) -> float:
    """A score of 0..1 on the scale people rate on."""
    return worst + value * (best - worst)


def overall(scores: Sequence[Score]) -> float | None:
    """One figure for an answer, 0..1, over the dimensions that were scored; None if the core ones were not."""
    known = {score.name: score.value for score in scores if score.value is not None and score.name in WEIGHTS}
    if not CORE & known.keys():
        return None
    return sum(WEIGHTS[name] * value for name, value in known.items()) / sum(WEIGHTS[name] for name in known)


def _numbers(answer: str, question: str, passages: Sequence[Passage]) -> Score:
    if not passages:
        return Score("numbers", None, "no passage was used")
    odd = unsupported_numbers(answer, question, passages)
    return Score("numbers", 0.0 if odd else 1.0, f"in no passage: {', '.join(odd)}" if odd else "")


def _language(answer: str, language: Language) -> Score:
    words = [word for word in re.findall(r"[^\W\d_]+", answer) if len(word) > 1]
    if len(words) < SURE_OF_LANGUAGE:
        return Score("language", None, "too short to tell")
    vietnamese = sum(bool(VIETNAMESE.search(word)) for word in words) / len(words) >= VIETNAMESE_FROM
    english = not vietnamese and any(word.lower() in STOP_EN for word in words)
    if not vietnamese and not english:
        return Score("language", None, "neither clearly English nor clearly Vietnamese")
    found: Language = "vi" if vietnamese else "en"
    return Score("language", 1.0 if found == language else 0.0, f"asked {language}, answered {found}")


def _conciseness(answer: str) -> Score:
    words = len(answer.split())
    if not words:
        return Score("conciseness", None, "the answer says nothing")
    over = max(0.0, (words - BRIEF) / (LENGTHY - BRIEF))
    return Score("conciseness", round(max(0.0, 1.0 - over), 4), f"{words} words")
