"""Pairs of questions that look alike and ask for something else: what an answer cache must never confuse.

Every pair is one sentence with one thing swapped: a number, a date, a negation, a product, a place, an action, the
part that is asked about ("the price of", "the origin of"), how it is asked ("when", "where", "must I"); or with
something more in one of them ("the warranty", "the warranty on the kettle").
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

from domain.turn import Language
from domain.words import fold

Kind = Literal["number", "date", "negation", "product", "place", "action", "part", "asked", "added"]


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
        "action": ("return", "exchange", "cancel", "track", "repair", "pay for", "sell", "give away", "insure"),
        "part": ("price", "origin", "weight", "purpose", "manual", "warranty", "colour", "guide"),
        "asked": ("how", "when", "where", "why", "how often"),
        "added": ("", "on the kettle", "in Laos", "on Sunday", "for members", "in the shop", "with a voucher"),
    },
    "vi": {
        "number": ("2", "3", "14", "30", "năm", "bốn", "1.200", "12"),
        "date": ("thứ hai", "thứ sáu", "ngày 3 tháng 3", "ngày 12 tháng 6", "tháng 12", "ngày mai"),
        "product": ("nồi cơm", "nồi chiên", "ấm đun", "chảo", "lõi lọc nước", "Galaxy S24", "Galaxy S23"),
        "place": ("Hà Nội", "Đà Nẵng", "Singapore", "Lào", "showroom", "Sài Gòn"),
        "action": ("trả lại", "đổi", "hủy", "theo dõi", "sửa", "thanh toán", "bán", "tặng"),
        "part": ("giá", "xuất xứ", "trọng lượng", "công dụng", "màu", "bảo hành", "kích thước"),
        "asked": ("làm sao", "khi nào", "ở đâu", "tại sao", "bao lâu một lần"),
        "added": ("", "ở Lào", "vào chủ nhật", "cho thành viên", "tại showroom", "bằng thẻ", "bằng mã giảm giá"),
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
        "action": ("How do I {} my order?", "Can I {} a lamp?", "I want to {} the kettle I bought"),
        "part": ("What is the {} of the kettle?", "Where do I see the {} of my lamp?", "Tell me the {} of this fan"),
        "asked": ("{} can I return a lamp?", "{} do you deliver?", "{} do I pay?"),
        "added": ("How long is delivery {}?", "Do you repair lamps {}?", "Can I change the order {}?"),
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
        "action": ("Tôi muốn {} đơn hàng", "{} cái đèn thì làm thế nào?", "Mình {} nồi cơm được không?"),
        "part": ("Cho hỏi {} của nồi cơm?", "Xem {} cái quạt ở đâu?", "{} đèn này thế nào?"),
        "asked": ("{} tôi đổi được cái đèn?", "Shop giao hàng {}?", "{} phải trả tiền?"),
        "added": ("Giao hàng {} mất bao lâu?", "Shop sửa đèn {} không?", "Bảo hành {} thế nào?"),
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

CONTRASTS: dict[Language, tuple[tuple[str, str], ...]] = {
    "en": (
        ("Can I create an account?", "Do I have to create an account?"),
        ("Can I pay in advance?", "Must I pay in advance?"),
        ("How can I return things?", "What can I return?"),
        ("Can I exchange this?", "Which of these can I exchange?"),
        ("Where is the guide for the kettle?", "Where is the kettle?"),
        ("Can I open the box?", "What are the opening hours?"),
    ),
    "vi": (
        ("Tôi đổi hàng được không?", "Tôi đổi hàng gì được?"),
        ("Đèn bảo hành bao lâu?", "Bảo hành bao lâu?"),
        ("Mua tủ có được giảm giá không?", "Mua có được giảm giá không?"),
        ("Tôi đổi địa chỉ được không?", "Tôi đổi ở đâu được không?"),
        ("Shop có bán hàng giả không?", "Shop có bán hàng giá bao nhiêu không?"),
        ("Tôi trả phí được không?", "Tôi phải trả phí không?"),
        ("Tôi dùng mã thế nào?", "Tôi dùng thế nào?"),
    ),
}
"""Pairs that differ in what is asked, not in what is named; and words that lose their meaning without diacritics."""


def near_misses() -> list[NearMiss]:
    """All of them, the same ones each time; Vietnamese also as it is typed without diacritics."""
    pairs = [*_swapped(), *_contrasted()]
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


def _contrasted() -> Iterator[NearMiss]:
    kinds: tuple[tuple[Kind, dict[Language, tuple[tuple[str, str], ...]]], ...] = (
        ("negation", NEGATIONS),
        ("asked", CONTRASTS),
    )
    for kind, languages in kinds:
        for language, pairs in languages.items():
            for one, two in pairs:
                yield NearMiss(kind, language, one, two)
                yield NearMiss(kind, language, two, one)


def _filled(frame: str, filler: str) -> str:
    text = " ".join(frame.format(filler).split()).replace(" ?", "?")
    return text[0].upper() + text[1:]
