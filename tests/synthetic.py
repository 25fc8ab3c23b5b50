"""Many generated turns in a store: whole receipts, as a desk would have written them."""

import random
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import insert

from domain.receipt import Receipt
from domain.turn import Call, Passage, Score, Source, Step, Verdict
from store import Store
from store.ledger import _row
from store.tables import calls, feedback, receipts, scores

QUESTIONS = [
    "How long do I have to return a lamp?",
    "Where is my parcel?",
    "Tôi có bao lâu để đổi trả?",
    "Can I pay by instalments?",
    "Does the desk lamp dim?",
    "What does <b>bold</b> mean?",
]
ENDS = [
    ("answer", None, "remote"),
    ("answer", None, "local"),
    ("answer", None, "quote"),
    ("answer", None, "cache"),
    ("answer", "small_talk", "quote"),
    ("dont_know", "low_confidence", "quote"),
    ("dont_know", "ungrounded", "remote"),
    ("refuse", "injection", "quote"),
    ("refuse", "out_of_scope", "quote"),
    ("handoff", "customer_asked", "quote"),
    ("dont_know", "model_down", "quote"),
]
WEIGHTS = [30, 15, 20, 8, 5, 6, 2, 3, 4, 5, 2]
MODELS = ["gpt-4.1-mini", "gpt-4.1", "local-small"]
PASSAGE = Passage("returns#0", "returns", "Returning a lamp", "Within 30 days, unused. " * 40, 0.9, language="en")


def turn(dice: random.Random, number: int, at: datetime) -> Receipt:
    outcome, reason, mode = dice.choices(ENDS, WEIGHTS)[0]
    asked = mode in ("remote", "local")
    model = dice.choice(MODELS[:2]) if mode == "remote" else MODELS[2] if mode == "local" else ""
    slow = dice.lognormvariate(7.0, 0.5) if asked else dice.lognormvariate(4.6, 0.4)
    made = []
    if asked:
        spent = dice.randint(200, 4_000) if mode == "remote" else 0
        if dice.random() < 0.03:
            made.append(Call("answer", model, ok=False, ms=slow * 0.2, error="ModelTimeoutError"))
        made.append(
            Call("answer", model, ok=True, input_tokens=1_500, cached_tokens=400, output_tokens=140,
                 cost_microusd=spent, ms=slow * 0.7)
        )  # fmt: skip
    question = dice.choice(QUESTIONS)
    blocked = reason == "injection"
    searched = reason in (None, "low_confidence", "ungrounded")
    steps = [Step("guard_input", 12.0), Step("route", 6.0)]
    steps += [Step("retrieve", 18.0)] if searched else []
    steps += [Step("generate", slow * 0.8), Step("guard_output", 9.0)] if asked else [Step("guard_output", 9.0)]
    return Receipt(
        turn_id=f"01900000-0000-7000-8000-{number:012x}",
        thread_id=f"thread-{number // 3}",
        trace_id=f"{number:032x}",
        desk="shop",
        user=f"{number % 400:032x}",
        at=at.isoformat(),
        language="vi" if question.startswith("T") else "en",
        outcome=outcome,
        reason=reason,
        question=question,
        answer="You may return it within 30 days after delivery, unused.",
        release="built-in" if number % 4 else "2026-11-a",
        rag_config="multilingual@1",
        knowledge="20261121T090013-50ce437e",
        latency_ms=round(slow, 2),
        standalone=question,
        mode=mode,
        tier="medium",
        model=model,
        prompt="answer@3" if asked else "",
        confidence=round(dice.random(), 3),
        passages=[PASSAGE] * 3 if searched else [],
        sources=[Source("returns", "Returning a lamp", "Within 30 days")],
        verdicts=[Verdict("length", "pass"), Verdict("injection", "block" if blocked else "pass", reason or "", 0.2)],
        steps=steps,
        calls=made,
        scores=[Score("grounding", round(dice.random(), 3)), Score("relevance", round(dice.random(), 3))],
    )


def keep_turns(store: Store, count: int, now: datetime, span: timedelta) -> None:
    """`count` turns, spread over the span before `now`; every thirtieth is rated."""
    dice = random.Random(7)  # noqa: S311  # figures, not secrets
    rows, made, judged, rated = [], [], [], []
    for number in range(count):
        at = now - span * ((number + 0.5) / count)
        receipt = turn(dice, number, at)
        row = _row(receipt)
        rows.append(row)
        own = {name: row[name] for name in ("turn_id", "at", "desk", "user_hash", "key")}
        made += [own | asdict(call) for call in receipt.calls]
        judged += [{"turn_id": receipt.turn_id, **asdict(score)} for score in receipt.scores]
        if number % 30 == 0:
            rating = dice.choice(["up", "up", "down"])
            comment = "That is the old rule" if rating == "down" else ""
            rated.append({"turn_id": receipt.turn_id, "rating": rating, "comment": comment, "at": at})
    with store._database.write() as connection:
        for table, values in ((receipts, rows), (calls, made), (scores, judged), (feedback, rated)):
            connection.execute(insert(table), values)
