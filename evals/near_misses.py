"""Pairs of questions that look alike and ask for something else: what an answer cache must never confuse.

Every pair is one sentence with one thing swapped: a number, a date, a negation, a product or a place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

from domain.turn import Language
from domain.words import fold

Kind = Literal["number", "date", "negation", "product", "place"]


@dataclass(frozen=True, slots=True)
class NearMiss:
    """`stored` was answered, `asked` comes next; `kind` is what differs."""

    kind: Kind
    language: Language
    stored: str
    asked: str


FILLERS: dict[Language, dict[Kind, tuple[str, ...]]] = {
    "en": {
        "number": ("2", "3", "14", "30", "four", "five", "1,200", "12"),
        "date": ("Monday", "Friday", "3 March", "12 June", "December", "tomorrow"),
        "product": ("rice cooker", "air fryer", "kettle", "frying pan", "water filter", "Galaxy S24", "Galaxy S23"),
        "place": ("Hanoi", "Da Nang", "Singapore", "Laos", "the showroom", "Ho Chi Minh City"),
    },
    "vi": {
        "number": ("2", "3", "14", "30", "năm", "bốn", "1.200", "12"),
        "date": ("thứ hai", "thứ sáu", "ngày 3 tháng 3", "ngày 12 tháng 6", "tháng 12", "ngày mai"),
        "product": ("nồi cơm", "nồi chiên", "ấm đun", "chảo", "lõi lọc nước", "Galaxy S24", "Galaxy S23"),
        "place": ("Hà Nội", "Đà Nẵng", "Singapore", "Lào", "showroom", "Sài Gòn"),
    },
}
FRAMES: dict[Language, dict[Kind, tuple[str, ...]]] = {
    "en": {
        "number": (
            "Can I pay in {} instalments?",
            "Is a purchase of {} lamps delivered free of charge?",
            "May I send it back after {} days?",
            "Do I get a discount if I buy {} pieces?",
        ),
        "date": (
            "Will my parcel arrive by {}?",
            "Is the shop open on {}?",
            "Can you deliver my order in the week of {}?",
            "Does the voucher still work on {}?",
        ),
        "product": (
            "How long is the warranty on the {}?",
            "Can I return an opened {}?",
            "how much does the {} cost",
            "Where do I find the manual of my {}?",
        ),
        "place": (
            "How much is shipping to {}?",
            "Do you deliver to {}?",
            "How long does a parcel to {} take?",
            "Can I pick my order up in {}?",
        ),
    },
    "vi": {
        "number": (
            "Tôi trả góp {} lần được không?",
            "Mua {} cái đèn có được miễn phí giao hàng không?",
            "Sau {} ngày còn gửi trả được không?",
            "Mua {} sản phẩm có được giảm giá không?",
        ),
        "date": (
            "Hàng có tới trước {} không?",
            "{} shop có mở cửa không?",
            "Giao hàng vào {} được không?",
            "Mã giảm giá còn dùng được tới {} không?",
        ),
        "product": (
            "{} được bảo hành bao lâu?",
            "Tôi trả lại {} đã khui được không?",
            "{} giá bao nhiêu vậy shop",
            "Hướng dẫn sử dụng {} xem ở đâu?",
        ),
        "place": (
            "Phí ship đi {} bao nhiêu?",
            "Shop có giao hàng tới {} không?",
            "Gửi hàng đi {} mất mấy ngày?",
            "Tôi nhận hàng ở {} được không?",
        ),
    },
}
NEGATIONS: dict[Language, tuple[tuple[str, str], ...]] = {
    "en": (
        ("Which products can be returned?", "Which products cannot be returned?"),
        ("Does the kettle ship to Laos?", "Does the kettle not ship to Laos?"),
        ("What does the warranty cover?", "What doesn't the warranty cover?"),
        ("Can I return it with the receipt?", "Can I return it without the receipt?"),
        ("Why did I receive my refund?", "Why didn't I receive my refund?"),
        ("Which cards do you accept?", "Which cards do you not accept?"),
        ("My parcel has arrived, what now?", "My parcel has never arrived, what now?"),
        ("Do I have to pay customs duties?", "Do I no longer have to pay customs duties?"),
        ("Is it possible to order with an account?", "Is it possible to order without an account?"),
        ("I was charged, what should I do?", "I was not charged, what should I do?"),
    ),
    "vi": (
        ("Sản phẩm nào được trả hàng?", "Sản phẩm nào không được trả hàng?"),
        ("Bảo hành gồm những gì?", "Bảo hành không gồm những gì?"),
        ("Tôi đã nhận được tiền hoàn, giờ sao?", "Tôi chưa nhận được tiền hoàn, giờ sao?"),
        ("Có hóa đơn thì đổi hàng được chứ?", "Không có hóa đơn thì đổi hàng được chứ?"),
        ("Shop nhận thẻ nào?", "Shop không nhận thẻ nào?"),
        ("Vì sao tôi được hoàn tiền?", "Vì sao tôi không được hoàn tiền?"),
        ("Máy lên nguồn thì làm gì tiếp?", "Máy không lên nguồn thì làm gì tiếp?"),
        ("Khi nào phải trả phí ship?", "Khi nào không phải trả phí ship?"),
        ("Đơn của tôi đã giao, làm sao đây?", "Đơn của tôi chưa giao, làm sao đây?"),
        ("Nơi nào shop giao hàng?", "Nơi nào shop không giao hàng?"),
    ),
}


def near_misses() -> list[NearMiss]:
    """All of them, the same ones each time; Vietnamese also as it is typed without diacritics."""
    pairs = [*_swapped(), *_negated()]
    bare = [
        NearMiss(one.kind, one.language, fold(one.stored), fold(one.asked)) for one in pairs if one.language == "vi"
    ]
    return [*pairs, *bare]


def _swapped() -> Iterator[NearMiss]:
    for language, kinds in FRAMES.items():
        for kind, frames in kinds.items():
            for frame in frames:
                for one, two in permutations(FILLERS[language][kind], 2):
                    yield NearMiss(kind, language, _filled(frame, one), _filled(frame, two))


def _negated() -> Iterator[NearMiss]:
    for language, pairs in NEGATIONS.items():
        for one, two in pairs:
            yield NearMiss("negation", language, one, two)
            yield NearMiss("negation", language, two, one)


def _filled(frame: str, filler: str) -> str:
    text = frame.format(filler)
    return text[0].upper() + text[1:]
