"""The front of the room: everything that a text must pass on its way in, out, and in between."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from domain.ports import Asked
from domain.profile import DeskProfile
from domain.turn import Fact, Language, Passage, Verdict
from guards import retrieved
from guards.base import DeskView, Evidence, Guard, GuardSpec, Inspected, Support, Watch, discover, failed
from guards.begun import BEGUN, Begun, Told
from guards.doubt import doubtful
from guards.features import spelled_places
from guards.heads import PART, SHIPPED_THRESHOLD, Heads
from guards.normalise import inspect
from guards.pii import Pii
from guards.placeholders import Masked, mask
from guards.retrieved import Retrieved

MASKING = "pii"
NORMALISING = "normalise"
COMPARING = "heads"
WORDS_ALONE = "no vector of the question, words alone decide"
TAIL = 300
"""Characters masked beyond the limit, so that a number cut in two is still seen as a number."""
LONGEST_DRAFT = 16_000
"""Characters of an answer that guards look at: twice what answer_length lets pass, so that no end of one is missed."""
SHOWN_HASH = 16


Ahead = Callable[[str], Awaitable[None]]


async def at_once(_text: str) -> None:
    """Nothing to be done meanwhile."""


def always(_text: str) -> bool:
    """Every text."""
    return True


@dataclass(frozen=True, slots=True)
class InputCheck:
    """A question checked. `text` is masked: what everything else may see, also of a blocked question.

    `secrets` maps placeholders to originals, those known before included. If masking itself failed, `text`
    holds no word of the question. `doubtful`: verdicts of classifiers that are unsure of it, where nothing else decides.
    """

    text: str
    secrets: dict[str, str]
    verdicts: list[Verdict]
    blocked: Verdict | None
    doubtful: list[Verdict] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """An answer checked. `text` is masked, defused and completed; empty when it is blocked."""

    text: str
    verdicts: list[Verdict]
    blocked: Verdict | None


@dataclass(frozen=True, slots=True)
class PassageCheck:
    """The passages that speak to the customer, not to the model; a verdict for each that was dropped."""

    kept: list[Passage]
    verdicts: list[Verdict]


class Guards:
    """All guards of one desk. Every check runs in a thread and never raises: what fails is a verdict.

    `weighs` tells what the local classifiers look at, in a few words.
    """

    def __init__(
        self,
        guards: Sequence[tuple[GuardSpec, Guard]],
        pii: Pii,
        *,
        max_chars: int,
        embedder: Asked | None = None,
        compared: Callable[[str], bool] = always,
        restored: Callable[[str], str] = str,
        watch: Watch | None = None,
        threshold: Callable[[str], float] = lambda _family: SHIPPED_THRESHOLD,
    ) -> None:
        self._input = [each for each in guards if each[0].side != "output"]
        self._output = [each for each in guards if each[0].side != "input"]
        self._pii = pii
        self._retrieved = Retrieved()
        self._max_chars = max_chars
        self._threshold = threshold
        self._embedder, self._compared, self._restored = embedder, compared, restored
        self.weighs = f"vectors of {embedder.name} and words" if embedder else "words alone"
        self._watch = watch or Watch()
        for name in (NORMALISING, MASKING, COMPARING, retrieved.NAME, *(spec.name for spec, _ in guards)):
            self._watch.know(name)

    @classmethod
    def load(
        cls,
        profile: DeskProfile,
        *,
        max_chars: int = 4000,
        internal: Callable[[], Sequence[str]] = tuple,
        vocabulary: Callable[[], Collection[str]] = frozenset,
        ner: bool = False,
        prompts: Callable[[], Sequence[str]] = tuple,
        canary: str = "",
        support: Support | None = None,
        heads: Path | None = None,
        embedder: Asked | None = None,
        compared: Callable[[str], bool] = always,
        restored: Callable[[str], str] = str,
        thresholds: Mapping[str, float] | None = None,
        like: "Guards | None" = None,
    ) -> "Guards":
        """Build every guard of the folder for a desk; what they know of it is told in `DeskView`.

        `heads`: the folder of the local classifiers, else the shipped one. `embedder`: the turn's, whose vector of the
        question some of them weigh; without it, and for one that none was fitted for, words decide alone. `compared`
        tells of a masked text whether its vector is asked for: the heads were fitted on English. `restored` puts the
        diacritics back into bare Vietnamese and leaves any other text. `thresholds` win over the desk's. `like`: guards of
        the same desk, with which what is slow to load and how they fare are shared.

        Raises DeskError for a rule that cannot be.
        """
        chosen: dict[str, float] = {str(name): value for name, value in profile.guards.thresholds.items()}
        desk = DeskView(
            profile,
            max_chars=max_chars,
            internal=internal,
            vocabulary=vocabulary,
            ner=ner,
            prompts=prompts,
            canary=canary,
            support=support,
            heads=Heads(heads, embedder.name if embedder else ""),
            thresholds=chosen | dict(thresholds or {}),
        )
        built = [(found.spec, found.make(desk)) for found in discover()]
        pii = next(made for _, made in built if isinstance(made, Pii))
        asked = embedder if desk.heads.reads_vectors else None
        if like is not None:
            pii = like._pii  # noqa: SLF001  # of the same class
            built = [(spec, pii if isinstance(made, Pii) else made) for spec, made in built]
        return cls(
            built,
            pii,
            max_chars=max_chars,
            embedder=asked,
            compared=compared,
            restored=restored,
            watch=like._watch if like else None,  # noqa: SLF001  # of the same class
            threshold=desk.threshold,
        )

    async def warm(self) -> None:
        """Load what takes a while (Presidio: a second or more), so that no customer waits for it."""
        await asyncio.to_thread(self._watch.run, MASKING, self._pii.warm)

    def health(self) -> dict[str, str]:
        """Each guard's name: "ok", or the last fault in words."""
        return self._watch.health()

    async def check_input(self, text: str, known: Mapping[str, str], *, ahead: Ahead = at_once) -> InputCheck:
        """Mask and judge a question; `known` are the thread's placeholders so far.

        The masked text is given to the embedder as the later steps give it, so that it is embedded once a turn. `ahead` is
        given it too and done meanwhile; it must not raise.
        """
        begun = BEGUN.get()
        if begun is None or begun.of != (self, text, known):
            begun = self._begin(text, known)
        if masked := await begun.compared:
            await ahead(masked)
        check: InputCheck = await begun.done
        return check

    @asynccontextmanager
    async def begun(self, text: str, known: Mapping[str, str]) -> AsyncIterator[None]:
        """Begin to check a question before its step does: `check_input` of the same, within, goes on from there."""
        begun = self._begin(text, known)
        BEGUN.set(begun)
        try:
            # Once the embedder is at work it needs the interpreter no more, which a graph's start takes for a while.
            await begun.compared
            yield
        finally:
            begun.done.cancel()
            BEGUN.set(None)  # not by a token: a turn that its reader has dropped is closed in another context

    def _begin(self, text: str, known: Mapping[str, str]) -> Begun[InputCheck]:
        return Begun((self, text, dict(known)), partial(self._check_input, text, known))

    async def check_facts(
        self, facts: Sequence[Fact], known: Mapping[str, str]
    ) -> tuple[list[Fact], dict[str, str], list[Verdict]]:
        """Facts masked and without instructions to a model, all placeholders, and what was done."""
        if not facts:
            return [], dict(known), []
        return await asyncio.to_thread(self._check_facts, facts, known)

    async def check_passages(self, passages: Sequence[Passage]) -> PassageCheck:
        """Drop the passages that carry instructions to a model."""
        return await asyncio.to_thread(self._check_passages, passages)

    async def check_output(
        self,
        draft: str,
        *,
        question: str,
        passages: Sequence[Passage],
        facts: Sequence[Fact],
        own: Mapping[str, str],
        language: Language,
        whole: bool = True,
        passed: int = 0,
    ) -> OutputCheck:
        """Judge an answer against what it rests on; `own` are the placeholders of this customer's data.

        `whole` False: only its beginning is written. What may still come is then not missed, nor appended. `passed`: so
        many of its characters, up to a sentence's end, have passed before: personal data is looked for behind them.
        """
        evidence = Evidence(question, passages, facts, own, language, whole, passed)
        return await asyncio.to_thread(self._check_output, draft, evidence)

    async def mask(self, text: str) -> str:
        """`text` without personal data; a placeholder in it stays. If masking fails, no word of it."""
        masked = await asyncio.to_thread(self._masked, text, {}, escape=False)
        return masked.text if masked else withheld(text)

    def _read(self, text: str, known: Mapping[str, str]) -> tuple[Masked | None, Inspected | None]:
        masked = self._masked(_head(text, self._max_chars), known)
        return masked, self._spelled(self._inspected(text, limit=self._max_chars, places=True))

    def _spelled(self, seen: Inspected | None) -> Inspected | None:
        """With the features of the text that was meant, where that differs; None if it cannot be told."""
        if seen is None or seen.places is None:
            return seen
        done = self._watch.run(NORMALISING, lambda: self._restored(seen.text))
        if done is None:
            return None
        return replace(seen, spelled=spelled_places(done[0], seen.places)) if done[0] != seen.text else seen

    def _check_input(self, text: str, known: Mapping[str, str], told: Told = lambda _masked: None) -> InputCheck:
        """In one thread from start to end: every change of threads waits for the interpreter, and the embedder then starts late."""
        masked, seen = self._read(text, known)
        embedder = self._embedder
        if embedder and masked and seen and self._compared(masked.text):
            told(masked.text)
            if done := self._watch.run(COMPARING, lambda: embedder.ask(masked.text), WORDS_ALONE):
                seen = replace(seen, vector=done[0])
        return self._judged(text, known, masked, seen)

    def _judged(self, text: str, known: Mapping[str, str], masked: Masked | None, seen: Inspected | None) -> InputCheck:
        verdicts: list[Verdict] = []
        if masked is None:
            verdicts.append(failed(MASKING, "block"))
        elif masked.kinds:
            verdicts.append(Verdict(MASKING, "mask", ", ".join(masked.kinds), 1.0))
        if seen is None:
            verdicts.append(failed(NORMALISING, "block"))
        else:
            verdicts += [self._verdict(spec, made, seen)[0] for spec, made in self._input]
        return InputCheck(
            text=masked.text if masked else withheld(text),
            secrets=masked.secrets if masked else dict(known),
            verdicts=verdicts,
            blocked=_first_block(verdicts),
            doubtful=doubtful(verdicts, self._threshold),
        )

    def _check_output(self, draft: str, evidence: Evidence) -> OutputCheck:
        verdicts: list[Verdict] = []
        seen = self._inspected(draft, limit=LONGEST_DRAFT, evidence=evidence)
        for spec, made in self._output:
            if seen is None:
                break
            verdict, text = self._verdict(spec, made, seen)
            verdicts.append(verdict)
            if text is not None and text != seen.original:
                seen = self._inspected(text, evidence=replace(evidence, passed=0))
        if seen is None:
            verdicts.append(failed(NORMALISING, "block"))
        blocked = _first_block(verdicts)
        return OutputCheck("" if seen is None or blocked else seen.original, verdicts, blocked)

    def _check_facts(
        self, facts: Sequence[Fact], known: Mapping[str, str]
    ) -> tuple[list[Fact], dict[str, str], list[Verdict]]:
        kept: list[Fact] = []
        verdicts: list[Verdict] = []
        secrets = dict(known)
        for fact in facts:
            done = [self._fact_text(text, secrets) for text in (fact["title"], fact["text"])]
            title, body = (each[0] for each in done)
            for _, verdict in done:
                verdicts += [verdict] if verdict and verdict not in verdicts else []
            if title is None or body is None:
                continue  # what could not be masked or inspected is shown to nobody
            secrets |= title.secrets | body.secrets
            kept.append(Fact(title=title.text, text=body.text))
        return kept, secrets, verdicts

    def _fact_text(self, text: str, secrets: dict[str, str]) -> tuple[Masked | None, Verdict | None]:
        """One text of a fact, masked and defused; new placeholders are added to `secrets`."""
        defused = self._watch.run(retrieved.NAME, lambda: self._retrieved.defused(text))
        if defused is None:
            return None, failed(retrieved.NAME, "block")
        masked = self._masked(defused[0], secrets)
        if masked is None:
            return None, failed(MASKING, "block")
        secrets.update(masked.secrets)
        if retrieved.DEFUSED in defused[0] and retrieved.DEFUSED not in text:
            return masked, Verdict(retrieved.NAME, "mask", retrieved.REASON, 1.0)
        return masked, Verdict(MASKING, "mask", ", ".join(masked.kinds), 1.0) if masked.kinds else None

    def _check_passages(self, passages: Sequence[Passage]) -> PassageCheck:
        kept: list[Passage] = []
        verdicts: list[Verdict] = []
        for passage in passages:
            text = f"{passage.title}\n{passage.section}\n{passage.text}"
            carries = self._watch.run(retrieved.NAME, lambda text=text: self._retrieved.passage_carries_orders(text))  # type: ignore[misc]
            if carries is None:
                verdicts.append(replace(failed(retrieved.NAME, "block"), guard=f"{retrieved.NAME}:{passage.id}"))
            elif carries[0]:
                verdicts.append(Verdict(f"{retrieved.NAME}:{passage.id}", "mask", retrieved.REASON, 1.0))
            else:
                kept.append(passage)
        return PassageCheck(kept, verdicts)

    def _masked(self, text: str, known: Mapping[str, str], *, escape: bool = True) -> Masked | None:
        done = self._watch.run(MASKING, lambda: mask(text, known, self._pii.find, escape=escape))
        return done[0] if done else None

    def _inspected(
        self, text: str, *, limit: int | None = None, evidence: Evidence | None = None, places: bool = False
    ) -> Inspected | None:
        done = self._watch.run(NORMALISING, lambda: inspect(text, limit=limit, evidence=evidence, places=places))
        return done[0] if done else None

    def _verdict(self, spec: GuardSpec, made: Guard, seen: Inspected) -> tuple[Verdict, str | None]:
        return self._watch.check(spec, lambda: made.check(seen))


def withheld(text: str) -> str:
    """What may be kept of a text that could not be masked: its length and the start of its hash."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:SHOWN_HASH]
    return f"[withheld: {len(text)} characters, sha256 {digest}]"


def _head(text: str, limit: int) -> str:
    """The text up to the limit, and a little more up to a word's end."""
    if len(text) <= limit:
        return text
    head = text[: limit + TAIL]
    return re.sub(r"\S+\Z", "", head) or head[:limit]


def _first_block(verdicts: Sequence[Verdict]) -> Verdict | None:
    """The block that is told: the first, but a rule before a classifier, which can say less of why."""
    blocks = [verdict for verdict in verdicts if verdict.action == "block"]
    return next((verdict for verdict in blocks if not verdict.guard.endswith(f":{PART}")), next(iter(blocks), None))
