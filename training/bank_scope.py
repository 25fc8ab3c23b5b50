"""The worked case of docs/improvement.md: a bank's messages by category, in English and Vietnamese.

    python -m training.bank_scope --shared ../shared/data --out FOLDER

writes bank.jsonl (rows to learn from), bank_held_out.jsonl and categories.yaml for `frontdesk optimise scope`, and
in_or_out_en.jsonl and in_or_out_vi.jsonl, the same rows by language, for `frontdesk scope fit`. English
rows are of banking77 (CC-BY-4.0) and CLINC150 (CC-BY-3.0), Vietnamese ones of a bank's bot (no licence stated) and of
PhoATIS (for research only): to measure with, not to ship. A row's category follows from the intent that it is labelled with.
"""

import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from domain.errors import UsageError
from training.subjects import OUT

CATEGORIES = {
    "cards": "getting, activating, using, losing or replacing a debit, credit or virtual card; its PIN, limit and fees",
    "payment_accounts": "an account's balance, statement or closing, transfers, money that comes in or is paid by direct debit",
    "internet_banking": "signing in to the app or website: its password or passcode, the user's identity and details, a lost phone",
}
ENGLISH: Mapping[str, Sequence[str]] = {
    "cards": [
        "activate_my_card",
        "card_about_to_expire",
        "card_acceptance",
        "card_arrival",
        "card_delivery_estimate",
        "card_linking",
        "card_not_working",
        "card_swallowed",
        "change_pin",
        "compromised_card",
        "contactless_not_working",
        "disposable_card_limits",
        "get_disposable_virtual_card",
        "get_physical_card",
        "getting_spare_card",
        "getting_virtual_card",
        "lost_or_stolen_card",
        "order_physical_card",
        "pin_blocked",
        "virtual_card_not_working",
        "visa_or_mastercard",
    ],
    "payment_accounts": [
        "balance_not_updated_after_bank_transfer",
        "balance_not_updated_after_cheque_or_cash",
        "beneficiary_not_allowed",
        "cancel_transfer",
        "declined_transfer",
        "direct_debit_payment_not_recognised",
        "failed_transfer",
        "pending_transfer",
        "receiving_money",
        "terminate_account",
        "transfer_fee_charged",
        "transfer_into_account",
        "transfer_timing",
        "transfer_not_received_by_recipient",
    ],
    "internet_banking": [
        "edit_personal_details",
        "lost_or_stolen_phone",
        "passcode_forgotten",
        "unable_to_verify_identity",
        "verify_my_identity",
        "why_verify_identity",
    ],
}
VIETNAMESE: Mapping[str, Sequence[str]] = {
    "cards": ("new_card", "lost_card", "card_charge", "credit_card_limit"),
    "payment_accounts": ("show_balance", "summary"),
    "internet_banking": ("change_password",),
}
FOREIGN_DOMAINS = frozenset({"banking", "credit_cards"})
"""Domains of CLINC150 that are a bank's."""
LEARN = 12
"""Rows of each category and language to learn from, at most; fewer where there are fewer than twice as many."""
JUDGE = 30
"""Rows of each category and language to be judged on, at most."""

Shared = Annotated[Path, typer.Option("--shared", help="Folder of the public data.")]
Most = Annotated[int, typer.Option("--most", help="Rows of each category and language to be judged on, at most.")]
Learn = Annotated[int, typer.Option("--learn", help="Rows of each category and language to learn from, at most.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write to.")]


def main(shared: Shared, out: Out, learn: Learn = LEARN, most: Most = JUDGE) -> None:
    """Write the rows and the categories."""
    fitted, judged = chosen(shared, learn, most)
    out.mkdir(parents=True, exist_ok=True)
    written = {"bank": fitted, "bank_held_out": judged}
    for language in ("en", "vi"):
        own = [row for row in [*fitted, *judged] if row["id"].startswith(f"{language}-")]
        written[f"in_or_out_{language}"] = [
            {"text": row["text"], "label": "out" if row["category"] == OUT else "in", "kind": row["category"]}
            for row in own
        ]
    for name, rows in written.items():
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (out / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    listed = "".join(f"{name}: {json.dumps(text)}\n" for name, text in CATEGORIES.items())
    (out / "categories.yaml").write_text(listed, encoding="utf-8")
    sys.stderr.write(f"{len(fitted)} rows to learn from, {len(judged)} to be judged on, in {out}\n")


def chosen(shared: Path, fit: int = LEARN, most: int = JUDGE) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Rows to learn from and to be judged on, drawn by the hash of their texts. Raises UsageError without the data."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for language, category, text in _labelled(shared):
        groups[language, category].append(text)
    learn: list[dict[str, str]] = []
    judge: list[dict[str, str]] = []
    for (language, category), texts in sorted(groups.items()):
        drawn = sorted(set(texts), key=lambda text: hashlib.sha256(text.encode()).hexdigest())
        held = min(most, len(drawn) // 2)
        for place, text in enumerate(drawn[: held + fit]):
            row = {"id": f"{language}-{category}-{place}", "text": text, "category": category}
            (judge if place < held else learn).append(row)
    return learn, judge


def _labelled(shared: Path) -> Iterator[tuple[str, str, str]]:
    by_intent = {intent: name for name, intents in ENGLISH.items() for intent in intents}
    for row in _rows(shared / "scope" / "banking77_train.jsonl"):
        if row["intent"] in by_intent:
            yield "en", by_intent[row["intent"]], row["text"]
    for row in _rows(shared / "scope" / "clinc150_train_val.jsonl"):
        if row["domain"] not in FOREIGN_DOMAINS:
            yield "en", OUT, row["text"]
    by_intent = {intent: name for name, intents in VIETNAMESE.items() for intent in intents}
    for row in _rows(shared / "vietnamese" / "bank_nlu.jsonl"):
        if row["intent"] in by_intent:
            yield "vi", by_intent[row["intent"]], row["text"]
    for row in _rows(shared / "vietnamese" / "phoatis_flights_out.jsonl"):
        yield "vi", OUT, row["text"]


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        return [json.loads(line) for line in path.read_bytes().splitlines()]
    except OSError as fault:
        raise UsageError(f"cannot be read: {fault.strerror}", where=str(path), fix="pass --shared FOLDER") from fault


if __name__ == "__main__":
    typer.run(main)
