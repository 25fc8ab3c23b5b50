"""People's names: where a person introduces themselves, is addressed, signs, or bears a Vietnamese family name.

These rules need no model. The small English model (`guards/ner.py`) adds the names that nothing announces.
What the desk's own articles write with a capital (a product, a brand, a town) is nobody's name unless announced.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from guards.given_names import SURE, WRITTEN_LARGE
from guards.normalise import UPPER, fold_each
from guards.placeholders import Span

KIND = "PERSON"
LONGEST_NAME = 5
"""Words of a name."""

CAP = rf"(?:{UPPER}[\w'’-]{{0,30}})"
LOW = r"[^\W\d_][\w'’-]{0,30}"
LINK = r"(?:van|von|der|den|de|da|di|del|della|la|le|bin|binti|ibn|al|el|dos|du|ter|y|e)"
NAME = rf"{CAP}(?:\.?[ \t]{{1,2}}(?:{LINK} )?{CAP}\.?(?!\w)){{0,4}}"
FULL = rf"{CAP}(?:\.?[ \t]{{1,2}}(?:{LINK} )?{CAP}\.?(?!\w)){{1,4}}"
TITLE = r"(?:mr|mrs|ms|miss|mx|dr|prof|professor|sir|madam|madame|monsieur|herr|frau|señora?|sr|sra)"

# What follows is a name, whatever its case.
SAID = (
    r"\bmy (?:full |first |last |legal )?name(?:'s| is| was)\b:?",
    r"\b(?:full |first |last |middle |customer |account holder |card ?holder |recipient |contact |maiden )name(?: is)?\s?:",
    r"\bname on (?:the |my |this )?(?:account|card|order|booking|parcel|package)(?: is|\?)?:?(?: user:| customer:| it'?s)?",
    r"\b(?:it'?s|it is|order|account|booking|reservation|registered|booked|placed) under(?: the name(?: of)?)?:?",
    r"\b(?:i am|i'm|he is|she is|they are|is) (?:called|named)\b",
    r"\bh[oọ] (?:v[aà] )?t[eê]n(?: [a-zà-ỹ]+){0,3}\s?(?:l[aà]|:)",
    r"\bt[eê]n (?:t[oô]i|em|m[iì]nh|anh|ch[iị]|ch[aá]u|m[eẹ]|b[oố]|v[oợ]|ch[oồ]ng|kh[aá]ch(?: h[aà]ng)?|ng[uư][oờ]i nh[aậ]n|ng[uư][oờ]i g[uử]i|ch[uủ] (?:th[eẻ]|t[aà]i kho[aả]n)|t[aà]i kho[aả]n)(?: c[uủ]a (?:t[oô]i|em|m[iì]nh))?\s?(?:l[aà]|:)",
    r"(?<!\w)(?:t[oô]i|em|m[iì]nh|ch[aá]u|anh|ch[iị]|con) t[eê]n (?:l[aà]|:)",
)
# What a text must hold, in lower case, for the cue of the same place to be looked for.
SAID_NEEDS = (
    ("name",),
    ("name",),
    ("name",),
    ("under",),
    ("called", "named"),
    ("ten", "tên"),
    ("ten", "tên"),
    ("ten", "tên"),
)
SAID_BODY = rf"[ \t]{{0,2}}[\"“']?(?P<name>{NAME}|{LOW}(?:[ \t]{LOW}){{0,3}})"
# What follows is a name if it is written as one.
BEFORE = (
    r"\b(?i:i am|i'm|im|this is|it is|it's|here is|here's)",
    r"\b(?i:dear|attn|attention|c/o|contact|signed|named|call(?:ed)?|addressed to|on behalf of|in the name of|spoke (?:to|with)|talked (?:to|with)|speaking (?:to|with)|deliver(?:ed)? (?:it )?to|given to|beneficiary|recipient|agent|colleague|wife|husband|son|daughter|mother|father|mum|mom|dad|brother|sister|friend|neighbou?r|partner|boss|manager|fianc[eé]e?)\b:?",
    r"(?<!\w)(?:[Nn]gười (?:nhận|gửi|mua|liên hệ)(?: hàng)?|[Nn]guoi (?:nhan|gui|mua|lien he)(?: hang)?|[Kk]hách hàng|[Kk]hach hang|[Cc]hủ (?:thẻ|tài khoản|TK|tk)|[Cc]hu (?:the|tai khoan|TK|tk)|CTK|ctk|[Tt]ên|[Tt]en|[Tt]ôi là|[Tt]oi la|[Ee]m là|[Ee]m la|[Mm]ình là|[Mm]inh la|[Cc]háu là)(?= |:)(?: là| la)?\s?:?",
    r"(?<!\w)(?:[Aa]nh|[Cc]hị|[Cc]hi|[Cc]ô|[Cc]hú|[Bb]ác|[Bb]ac|[Ôô]ng|[Oo]ng|[Bb]à|[Bb]ạn|[Cc]ậu|[Cc]háu|[Ee]m|[Cc]on|[Vv]ợ|[Cc]hồng|[Mm]ẹ|[Bb]ố|[Bb]a)(?: tên(?: là)?)?",
)
TITLED = re.compile(rf"(?<!\w)(?P<name>(?i:{TITLE})\b\.?[ \t]{{1,2}}{NAME})")
LOWER_TITLED = re.compile(rf"(?<!\w)(?P<name>(?:mr|mrs|ms|dr)\.?[ \t]{{1,2}}{LOW})")
BLOCK = re.compile(
    rf"^[ \t]*(?:[>?|*-]{{1,3}}[ \t]*)?(?P<name>{FULL})[ \t]*\n(?:(?:[^\n]{{0,60}}\n){{0,3}}?)[ \t>?|*-]*\d{{1,6}}[ ,][^\n]{{3,60}}$",
    re.MULTILINE,
)
"""A name in the first line of an address block."""
GIVEN = re.compile(r"(?<![\w@.'’-])[^\W\d_]{2,14}(?![\w@-]|\.\w)")
MORE = re.compile(rf"(?:[ \t](?:[A-Z]\.|(?:{LINK} )?{CAP})){{0,3}}")
CAPITALISED = re.compile(rf"(?<!\w){UPPER}[\w'’-]*")
SIGNED = re.compile(
    rf"(?i:regards|sincerely|cheers|thanks(?: (?:a lot|so much|in advance))?|thank you(?: (?:very much|so much))?|best(?: wishes)?|yours(?: truly| faithfully)?|love|trân trọng|tran trong|thân mến|thân ái|cảm ơn(?: (?:shop|bạn|anh|chị|nhiều))?|cam on(?: shop)?|kính thư)[ ,.!-]{{0,3}}\s{{0,2}}\n[ \t]{{0,4}}[-–—]{{0,2}} ?(?P<name>{NAME})[ \t]*(?=\n|$)"
)
DASHED = re.compile(rf"\n[ \t]*[-–—~]{{1,2}} ?(?P<name>{NAME})[ \t]*$")
FAMILY = (
    "nguyen|tran|le|pham|huynh|hoang|phan|vu|vo|dang|bui|do|ho|ngo|duong|ly|dinh|mai|trinh|doan|luong|truong|lam|dao|cao|ta|to|thai|"
    "chau|quach|tang|kieu|luu|trieu|ha|nghiem|khuat|ton|au|mac|quang|dam|la|nong|ung"
)
# In full with diacritics or without; two syllables more make it a name beyond doubt.
VIETNAMESE = re.compile(rf"(?<![\w/.-])(?P<name>(?=[A-Z])(?:(?i:{FAMILY}))(?: [A-Z][a-z]{{0,6}}){{1,4}})(?!\w)")
LOWER_FULL = re.compile(r"(?<![\w/.-])(?P<name>(?:nguyễn|trần|phạm|huỳnh|đặng|bùi|đỗ|ngô|trịnh|đoàn|trương)(?: (?:thị|văn|hữu|đức|thanh|minh|ngọc|quang|thu|anh|hoàng|xuân|kim|hồng|công|đình|quốc|gia|bảo|khánh|phương|tuấn))(?: [a-zà-ỹ]{1,7}))(?!\w)")  # fmt: skip
LARGE_FULL = re.compile(
    r"(?<![\w/.-])(?P<name>(?:(?:NGUYEN|PHAM|HUYNH|TRINH|DOAN) [A-Z]{2,7}|(?:TRAN|HOANG|LE|PHAN|VU|VO|DANG|BUI|DO|HO|NGO|DUONG|LY|DINH|MAI|LUONG|TRUONG|DAO|CAO) (?:THI|VAN|HUU|DUC))(?: [A-Z]{1,7}){1,2})(?![\w/-])"
)
"""As banks print the holder of an account; words that are none shouted look alike, so the middle one must be a name's."""
STREET_BEFORE = re.compile(r"(?:\d|\b(?:duong|pho|phuong|quan|huyen|tinh|tp|thanh pho|street|st|truong|benh vien|ngo|hem|toa nha|chung cu)\.?,?) ?$")  # fmt: skip

NO_NAMES = frozenset(
    """a an the i i'm my me you your he she it we they this that these those there here is are was were am be been do does did have has had can could
    will would shall should may might must not no yes ok okay hi hello hey dear good morning afternoon evening thanks thank please sorry and or but so if as at by for from in of on to with
    what when where which who whom whose why how monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december today tomorrow yesterday sir madam team support customer service agent assistant bot human person manager order orders refund return
    returns shipping delivery account card payment warranty invoice email phone address number code product item package parcel store shop website app company
    visa mastercard paypal momo zalo vietcombank techcombank vietinbank bidv agribank acb vpbank tpbank sacombank shopee lazada tiki grab viettel mobifone vinaphone
    germany france spain italy portugal poland austria switzerland netherlands belgium denmark sweden norway finland ireland england scotland wales britain europe asia africa
    america canada australia japan china korea india thailand singapore malaysia indonesia philippines cambodia laos taiwan mexico brazil turkey russia ukraine hanoi saigon nang hue
    london paris berlin madrid rome vienna tokyo sydney
    instapay klarna stripe fedex ups dhl usps hermes amex twitter instagram whatsapp youtube tiktok netflix covid apple google facebook amazon android iphone ipad windows vat usd vnd eur english vietnamese french german chinese american british vietnam
    user bot miss mister new very just still really also only about all any some more less most under over after before again now then let see get got make made need want try
    sure glad happy unable interested trying looking writing calling having getting waiting wondering following going using sending
    shop quán bên cửa hàng khách đơn sản phẩm nhà mình em anh chị bạn tôi chúng ơi ạ à cho có không được đã đang sẽ muốn cần hỏi là của và với này kia nào gì sao ai
    mọi các những một hai ba hay thì mà ở đây đó rồi chưa vậy nhé nha dùng giúp xin vui lòng cảm ơn chào
    don hang san pham khach shop ben cua hoi muon can la va voi nay nao gi co khong duoc da dang se cho toi minh em anh chi ban oi roi chua vay nhe""".split()  # noqa: SIM905  # words read better as a text
)
ALSO_NAMES = frozenset(("an", "anh", "minh", "mai", "ha", "hai", "ba", "chi", "hoi", "may", "pham"))
"""Of the words above those that are a name behind a title or a family name, or first behind "tên tôi là"."""
LINKING = frozenset(
    """và voi với tại ở số so sdt sđt địa chỉ dia living email phone order born i'd i've don't cccd stk
    is my the""".split()  # noqa: SIM905  # as above
)
MARKED = re.compile(r"[ăâđêôơưĂÂĐÊÔƠƯ\u1ea0-\u1ef9]")
"""Letters of Vietnamese alone: "tôm" and "Lệ" are no names of the list, whatever they are without their marks."""
PLACES = frozenset(
    """ho_chi_minh ha_noi da_nang hai_phong can_tho hue ha_long ha_giang ha_nam ha_tinh lam_dong thai_nguyen thai_binh quang_nam quang_ninh quang_tri
    quang_ngai quang_binh cao_bang la_gi vung_tau vinh_long viet_nam ho_guom ho_tay le_loi mai_linh cao_cap do_dung do_an do_choi do_gia_dung ho_tro ho_so
    do_luong ta_co to_giay ly_do ha_gia la_sao au_my chau_au chau_a lam_on dang_ky dang_nhap hoang_sa truong_sa phan_mem tang_kem dao_bep ton_kho mac_dinh
    vo_chong to_chuc quang_cao ta_muon dam_may""".split()  # noqa: SIM905  # as above
)


def capitalised_words(texts: Iterable[str]) -> frozenset[str]:
    """The words that texts write with a capital, in lower case."""
    return frozenset(word.lower().removesuffix("'s") for text in texts for word in CAPITALISED.findall(text))


class Names:
    """Finds announced names. `ours` tells whether the desk's own texts write a word with a capital."""

    def __init__(self, ours: Callable[[str], bool]) -> None:
        self._ours = ours
        self._said = [re.compile(f"(?i:{cue}){SAID_BODY}") for cue in SAID]
        self._before = [re.compile(rf"{cue}[ \t]{{1,2}}(?P<name>{NAME})") for cue in BEFORE]

    def __call__(self, text: str) -> Iterator[Span]:
        """Names that something announces."""
        lower = text.lower()
        for pattern, needs in zip(self._said, SAID_NEEDS, strict=True):
            for match in pattern.finditer(text) if any(need in lower for need in needs) else ():
                yield from _trimmed(text, *match.span("name"), any_case=True)
        for pattern in self._before:
            for match in pattern.finditer(text):
                yield from self._plausible(text, *match.span("name"))
        for pattern in (SIGNED, DASHED, BLOCK, TITLED) if "\n" in text else (TITLED,):
            for match in pattern.finditer(text):
                yield from self._plausible(text, *match.span("name"))
        for match in LOWER_TITLED.finditer(text):
            yield from _trimmed(text, *match.span("name"))
        yield from self._given(text)
        yield from _vietnamese(text)

    def _given(self, text: str) -> Iterator[Span]:
        """Known given names, with the capitalised words that follow."""
        for match in GIVEN.finditer(text):
            lower = fold_each(match[0]).lower()
            if (lower not in SURE and lower not in WRITTEN_LARGE) or MARKED.search(match[0]):
                continue
            more = MORE.match(text, match.end())
            end = more.end() if more else match.end()
            if lower not in SURE and not (match[0][0].isupper() and _inside(text, match.start(), end > match.end())):
                continue
            if not all(self._ours(word) for word in text[match.start() : end].split()):
                yield from _trimmed(text, match.start(), end)

    def _plausible(self, text: str, start: int, end: int) -> Iterator[Span]:
        for span in _trimmed(text, start, end):
            if not all(self._ours(word) for word in text[span.start : span.end].split()):
                yield span


def _trimmed(text: str, start: int, end: int, *, any_case: bool = False) -> Iterator[Span]:
    """The words up to the first that is in no name."""
    kept = start
    for match in re.finditer(r"\S+", text[start:end]):
        word = match[0].strip(".,;:!?\"'“”’")
        called = word.istitle() or (any_case and kept == start)
        if word.lower() in NO_NAMES and not (called and word.lower() in ALSO_NAMES):
            break
        if any_case and word.islower() and word in LINKING:
            break
        kept = start + match.start() + len(match[0].rstrip(".,;:!?\"'“”’"))
    if kept > start:
        yield Span(start, kept, KIND)


def _inside(text: str, start: int, followed: bool) -> bool:  # noqa: FBT001  # private, one caller
    """Whether a capital says something here: not the first word of a sentence, or a capitalised word behind it."""
    before = text[:start].rstrip(" \t\"'“(>")
    return followed or before[-1:] not in ("", ".", "!", "?", "\n", ":")


def _vietnamese(text: str) -> Iterator[Span]:
    """A family name in front of one to four syllables that are all written as names are."""
    folded = fold_each(text)
    for match in VIETNAMESE.finditer(folded):
        start, end = match.span("name")
        words = folded[start:end].split()
        if folded[start].islower() or STREET_BEFORE.search(folded[max(0, start - 14) : start].lower()):
            continue
        if any("_".join(words[:count]).lower() in PLACES for count in (2, 3)):
            continue
        if text[start:end].isascii() and len(words) < 3:  # noqa: PLR2004  # "Do Not", "La Roche": too short to tell
            continue
        yield Span(start, end, KIND)
    for pattern in (LOWER_FULL, LARGE_FULL):
        for match in pattern.finditer(text):
            yield Span(*match.span("name"), KIND)
