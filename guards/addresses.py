"""Street addresses by their form, English, European and Vietnamese: no model is needed.

A place alone ("do you ship to Huế?") is nobody's address. An address starts with a house number beside a street, a
post box, a unit, or behind words that announce one; what follows it on the same and the next lines belongs to it.
"""

import re
from collections.abc import Iterator

from guards.normalise import UPPER, fold_each
from guards.placeholders import Span

KIND = "ADDRESS"
MAX_TAIL = 8
"""Parts (unit, town, state, country, post code) that may follow a street."""
LONGEST = 160

CAP = rf"(?:{UPPER}[\w'’.-]{{0,30}})"
NUM = r"\d{1,6}[a-zA-Z]?(?:[/-]\d{1,5}[a-zA-Z]?){0,3}"
PARTICLE = r"(?:of|the|de|da|do|dos|das|di|del|della|la|le|les|du|des|el|los|las|van|der|den|von|am|im|an|zur|zum|St\.?|af)(?!\w)"
MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\b"
MEASURES = r"days?|hours?|am|pm|cm|mm|kg|g|l|ml|w|inch|litres?|liters?|gb|tb|pcs|pieces?"
STREET_EN = (
    r"streets?|str?|avenues?|ave|roads?|rd|lanes?|ln|drive|dr|boulevard|blvd|court|ct|square|sq|place|pl|terrace|ter|close|crescent|cres|"
    r"way|highway|hwy|parkway|pkwy|trail|trl|circle|cir|alley|row|mews|grove|gardens?|walk|hill|quay|wharf|loop|plaza|park|cove|"
    r"ridge|valley|meadows?|mills?|point|crossing|bypass|track|esplanade|parade|promenade|heights|hollow|run|view|station"
)
STREET_BEFORE = (
    r"via|viale|vicolo|corso|piazza|r[uú]a|rue|avenue|avenida|av|boulevard|calle|carrer|c/|plaza|paseo|camino|travessa|pra[çc]a|strada|strasse|straße|"
    r"ul|ulica|ulitsa|plac|aleja|quai|place|impasse|chemin|all[ée]e|cours|route|largo|estrada|rodovia|cesta|n[áa]m[ěe]st[íi]|odos"
)
STREET_AFTER = r"\w{2,24}(?:stra(?:ss|ß)e|str\.|straat|gatan|gata|gate|gade|v[äa]gen|vegen|vej|veien|weg|platz|allee|gasse|laan|plein|kade|katu|tie|polku|kuja|[úu]tja|utca)"
UNIT = r"(?:apt|apartment|suite|ste|unit|flat|floor|room|rm|bldg|building|box|level|lot|p\.? ?o\.? ?box|#)\.? ?#?\w{0,2}\d{1,5}\w?\b"
STATE = r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]|ON|QC|BC|AB|MB|SK|NS|NB|NL|PE)"
ZIP = r"\d{5}(?:-\d{4})?(?!\d)"
UK_POST = r"(?:GIR ?0AA|[A-PR-UWYZ][A-HK-Y]?\d[\dA-HJKPSTUW]? \d[ABD-HJLNP-UW-Z]{2})(?!\w)"
CA_POST = r"[ABCEGHJ-NPRSTVXY]\d[A-Z][ -]?\d[A-Z]\d(?!\w)"
POST = rf"(?:{UK_POST}|{CA_POST}|(?:[A-Z]{{2}},? )?\d{{4,6}}(?:-\d{{3,4}})?(?![\w%]|[.,-]\d))"
EDGE = r"(?<![\w.,/#$€£%-])(?<!order )(?<!orders )(?<!number )(?<!model )(?<!đơn )"

STREET_FORMS = (
    # 12 Oak Street, 12 34 Court Street
    rf"{EDGE}{NUM},?(?: {NUM})? (?:{CAP} |{PARTICLE} ){{1,4}}(?i:{STREET_EN})\b\.?(?! (?:days?|hours?|items?|pieces?)\b)",
    # 12 Via Roma 4, Via Roma 4, 12 rue de la Paix
    rf"{EDGE}(?:{NUM} ){{1,2}}(?i:{STREET_BEFORE})\.? (?:{PARTICLE} ){{0,2}}{CAP}(?: {CAP}| {PARTICLE}){{0,3}}(?: {NUM})?",
    rf"(?<!\w)(?i:{STREET_BEFORE})\.? (?:{PARTICLE} ){{0,2}}{CAP}(?: {CAP}| {PARTICLE}){{0,3}},? {NUM}(?!\w)",
    # Hauptstrasse 12, 8 Koskikatu 25
    rf"(?:{EDGE}{NUM} ){{0,2}}(?<!\w)(?:{CAP} ){{0,2}}(?i:{STREET_AFTER}) {NUM}(?!\w)\.?",
    rf"{EDGE}(?:{NUM} ){{1,2}}(?:{CAP} ){{0,2}}(?i:{STREET_AFTER})(?!\w)",
    # 90 Urzáiz 12: a name between two numbers
    rf"{EDGE}\d{{1,5}} (?!{MONTH}){CAP}(?: (?:{CAP}|{PARTICLE})){{0,4}} \d{{1,4}}[a-zA-Z]?(?![\w:%]|[.,]\d| ?(?:{UPPER}{{3}}|{MEASURES})\b)",
    rf"(?<!\w)(?i:the )?(?i:corner of) (?:{NUM} )?{CAP}(?: {CAP}| {NUM}){{0,3}} (?:and|&) (?:{NUM} )?{CAP}(?: {CAP}| {NUM}){{0,3}}",
    # post boxes, the forces' addresses
    rf"(?:{EDGE}{NUM} )?(?<!\w)(?i:(?:p\. ?o\. ?|po ?)box):? ?#?\d{{1,6}}(?!\w)",
    r"(?<!\w)(?:PSC|CMR|Unit|USS|USNS|USNV|USCGC) [\w]{1,15},?(?: Box \d{1,5})?\s{1,3}(?:[AFD]PO) A[AEP] \d{5}",
)
STREETS = tuple([re.compile(form) for form in STREET_FORMS])
GLUED = 3
"""The form whose street is one word in front of its number: tried where a word that ends so is."""
GLUED_ENDS = (
    "strasse", "straße", "str.", "straat", "gatan", "gata", "gate", "gade", "vagen", "vägen", "vegen", "vej", "veien", "weg", "platz", "allee", "gasse",
    "laan", "plein", "kade", "katu", "tie", "polku", "kuja", "utja", "útja", "utca",
)  # fmt: skip
NUMBERED = re.compile(r" (?=\d)")
FORM_NEEDS = {6: "corner of", 7: "box", 8: "po a"}
"""What a text must hold, in lower case, for the form of that place to be looked for."""
# Behind these a house number and whatever follows it is an address, in whatever case.
ANNOUNCED = re.compile(
    r"(?:\b(?:new |home |my |billing |shipping |delivery |mailing |postal |street )?address(?: of [\w ]{1,40})?(?: (?:is|was|to|at|with|on it is|as))?(?: now)?|\b(?:lives?|living|reside[sd]?|stay(?:ing)?) (?:at|on)|"
    r"\b(?:his|her|their|our) (?:house|home|place) (?:is )?(?:at|on)|\b(?:ship|shipped|deliver|delivered|send|sent|mail|mailed|post|posted|taxi|cab|bring|moved|arrived|meet(?: me| us)?|come|pick(?: me| it| us)? up)"
    r"(?: (?:it|this|that|them|everything|my order|the (?:order|parcel|package)))?(?: (?:over|back))? (?:to|at|from))\s{0,2}[:,]?\s{0,3}",
    re.IGNORECASE,
)
ANNOUNCED_BODY = re.compile(
    rf"(?:{NUM},? )(?:{NUM} )?(?!(?:days?|hours?|hrs?|minutes?|weeks?|months?|years?|times|items?|pieces?|people|persons?|am|pm|o'clock|usd|vnd|eur|dollars?|%|of|or|and|to|different|other|more|weeks|addresses|addresse?s|countries|orders?|customers?|friends?)\b)"
    r"[^\W\d_][^\n.;:!?<>()]{2,80}"
)
TAIL = re.compile(
    rf"(?P<gap>[ \t]{{0,4}}(?:,|\n)?[\s,?>|]{{0,9}})(?:(?P<unit>(?i:{UNIT}))|(?P<post>{STATE}[, ]{{1,2}}{ZIP}|{POST})|(?P<dot>{CAP}(?: (?:{CAP}|{PARTICLE}|and)){{0,4}})(?: (?P<num>{POST}))?)"
)
LONELY = re.compile(
    rf"(?<!\w)(?:(?:{STATE}),? {ZIP}|{UK_POST}|(?<![\w-]){CA_POST})|(?<!\w)(?i:zip(?: ?code)?|post(?:al)? ?code|postcode|plz)(?: (?:is|was))?:? ?(?P<code>\d{{4,6}}(?:-\d{{4}})?|[A-Z\d]{{2,4}} ?[A-Z\d]{{2,3}})(?!\w)"
)
LONE_UNIT = re.compile(
    r"^[ \t>?|]*(?P<unit>(?i:(?:apt|suite|ste|unit|flat)\.? ?#?\d{1,5}))[ \t]*$|(?<=, )(?P<tail>(?i:(?:apt|suite|ste)\.? ?#?\d{1,5}))(?!\w)",
    re.MULTILINE,
)
NOT_A_TOWN = re.compile(
    r"(?:thanks?|thank you|regards|best|please|phone|tel|e-?mail|mobile|fax|office|how|what|when|where|why|who|which|can|could|will|would|is|are|do|does|i|i'm|my|it|we|you|the|this|that|order|if|and|but|or|because|hello|hi|dear|mr|mrs|ms|dr|kind|sincerely|cheers|also|name|id)\b",
    re.IGNORECASE,
)

# Vietnamese, over letters without diacritics (positions stay).
VN_CAP = r"(?:[A-ZĐ][\w'-]{0,12}|\d{1,3}\b)"
VN_NAME = rf"{VN_CAP}(?: {VN_CAP}){{0,4}}"
VN_PLACE = (
    r"(?:phuong|quan|huyen|xa|thi tran|thi xa|thanh pho|tinh|khu pho|khu do thi|kdt|khu dan cu|kdc|thon|xom|ap|to dan pho|to|lang|"
    r"tp|tx|tt|p|q|h|x)"
)
VN_STREET = r"(?:duong|pho|ngo|ngach|hem|kiet|hxh|quoc lo|ql|tinh lo|tl|dai lo)"
VN_HOUSE = r"(?:so nha|nha so|so|can ho|can|phong|toa nha|toa|chung cu|block|lo|tang)"
VN_NUM = r"[A-Za-z]?\d{1,5}[A-Za-z]?(?:[/.-]\d{1,4}[A-Za-z]?){0,4}"
VN_PART = (
    rf"(?:(?i:{VN_PLACE})(?:\.\s?|\s)(?:\d{{1,2}}\b|{VN_NAME})|(?i:{VN_STREET})\.?\s(?:so )?(?:{VN_NUM}|{VN_NAME})|(?i:{VN_HOUSE})\s{VN_NUM}|"
    rf"(?i:tp\.? ?hcm|tphcm|hcmc|sai gon|sg)\b|(?:Ha Noi|Hanoi|Ho Chi Minh|Da Nang|Hai Phong|Can Tho|Hue|Viet ?Nam|[A-Z]\w{{1,9}} [A-Z]\w{{1,9}})(?!\w))"
)
VN_START = (
    rf"(?:(?i:(?:{VN_HOUSE})\s){VN_NUM}(?!\d)(?:,? (?:(?i:{VN_STREET})\.? )?{VN_NAME})?|(?<![\w.,/#-]){VN_NUM} (?i:{VN_STREET})\.? (?:{VN_NAME}|{VN_NUM})|"
    rf"(?<!\w)(?i:{VN_STREET})\.? (?:so )?(?:{VN_NUM}(?:,? (?i:{VN_STREET})\.? {VN_NAME})?|{VN_NAME})|(?<![\w.,/#-])\d{{1,4}}[A-Za-z]?(?:/\d{{1,4}}[A-Za-z]?){{0,4}},? {VN_CAP}(?: {VN_CAP}){{1,3}}|"
    rf"(?<!\w)(?i:phuong|quan|huyen|xa|thon|xom|ap|p\.|q\.)\s?(?:\d{{1,2}}\b|{VN_NAME}))"
)
VIETNAMESE = re.compile(rf"(?<!\w)(?:{VN_START})(?:(?:\s?[,-]\s?|\s){VN_PART}){{1,7}}")
VN_ANNOUNCED = re.compile(
    r"(?i:dia chi(?: (?:moi|nha|giao hang|nhan hang|cua (?:toi|em|minh|anh|chi)))?(?: (?:la|o|tai))?|(?:giao|gui|ship|chuyen) (?:hang )?(?:den|toi|ve|cho toi o|tai)|(?:nha )?(?:toi|em|minh|anh|chi|nha) (?:dang )?(?:o|song o|o tai))\s?:?\s"
    rf"(?P<body>(?:{VN_START})(?:(?:\s?[,-]\s?|\s){VN_PART}){{0,7}})"
)
VN_LOWER = re.compile(
    r"(?<!\w)(?i:dia chi(?: (?:moi|cu|nha|giao hang|nhan hang|ship|cua (?:toi|em|minh|anh|chi)))?)(?: ?:| la) ?"
    r"(?P<body>(?:(?i:so(?: nha)?|hem|ngo|can|phong) )?(?:[a-z]?\d{1,5}[a-z]?(?:/\d{1,4}[a-z]?){0,4},? (?=[a-z]))"
    r"(?:(?!(?:nhe|nha(?! \w)|giup|thi|ma|va|voi|gap|cam on|sdt|dt|dien thoai|truoc|sau|khi|duoc|khong|co)\b)(?:(?:p|q|tp)\.|[a-z\d/-]{1,12})[ ,]{0,2}){2,16})"
)
"""Written without capitals behind "dia chi:": a number and the words up to the next clause."""
# One of these begins every address that the two forms above find; most sentences of an answer hold none.
AS_LETTERS = str.maketrans({"ſ": "s", "ı": "i"})
"""Letters that a rule in any case takes for others, as `lower` leaves them."""
VN_WORD = re.compile(r"[^\W\d_]+")
VN_AREAS = ("phuong", "quan", "huyen", "xa", "thon", "xom", "ap")
VN_CUES = frozenset({*VN_AREAS, *"p q duong pho ngo ngach hem kiet hxh quoc ql tinh tl dai".split()})  # noqa: SIM905
VN_HOUSES = frozenset("so nha can phong toa chung block lo tang".split())  # noqa: SIM905
VN_NUMBERED_HOUSE = re.compile(rf"(?i:{VN_HOUSE})\s[A-Za-z]?\d")
VN_NUMBERED_NAME = re.compile(r"\d[A-Za-z]?,? [A-ZĐ\d]")
VN_GLUED_AREA = re.compile(rf"(?i:{'|'.join(VN_AREAS)})[A-ZĐ]")
HINT = re.compile(r"\d|\b(?:duong|pho|phuong|quan|huyen|thon|xom|ap|ngo|hem)\b", re.IGNORECASE)


def addresses(text: str) -> Iterator[Span]:
    """Every street address of a text."""
    if not HINT.search(text) and text.isascii():
        return
    taken = -1
    for start, end in sorted(_starts(text), key=lambda each: (each[0], -each[1])):
        if start >= taken:
            taken = _extended(text, end)
            yield Span(start, taken, KIND)
    for match in LONELY.finditer(text):
        yield Span(*match.span("code" if match["code"] else 0), KIND)
    for match in LONE_UNIT.finditer(text):
        yield Span(*match.span("unit" if match["unit"] else "tail"), KIND)
    yield from _vietnamese(text)


def _vietnamese(text: str) -> Iterator[Span]:
    folded = fold_each(text)
    if "dia chi" in folded.lower():
        for match in VN_LOWER.finditer(folded):
            yield Span(match.start("body"), match.start("body") + len(match["body"].rstrip(" ,")), KIND)
    if not may_be_vietnamese(folded):
        return
    for match in VIETNAMESE.finditer(folded):
        yield Span(match.start(), match.end(), KIND)
    for match in VN_ANNOUNCED.finditer(folded):
        yield Span(*match.span("body"), KIND)


def may_be_vietnamese(folded: str) -> bool:
    """Whether a text may hold what begins a Vietnamese address: to look for that takes a fifth of finding one."""
    if VN_NUMBERED_NAME.search(folded):
        return True
    words = set(VN_WORD.findall(folded.lower().translate(AS_LETTERS)))
    if not VN_CUES.isdisjoint(words):
        return True
    if not VN_HOUSES.isdisjoint(words) and VN_NUMBERED_HOUSE.search(folded):
        return True
    return any(word.startswith(VN_AREAS) for word in words) and VN_GLUED_AREA.search(folded) is not None


def _starts(text: str) -> Iterator[tuple[int, int]]:
    lower = text.lower().replace("ſ", "s")
    glued = any(lower.endswith(GLUED_ENDS, 0, blank.start()) for blank in NUMBERED.finditer(lower))
    for form, pattern in enumerate(STREETS):
        needed = glued if form == GLUED else FORM_NEEDS.get(form, "") in lower
        for match in pattern.finditer(text) if needed else ():
            yield match.span()
    for cue in ANNOUNCED.finditer(text):
        body = ANNOUNCED_BODY.match(text, cue.end())
        if body:
            yield body.start(), _until_clause(text, body)


CLAUSE = re.compile(r" (?:for (?:this|my|the)|and (?:i|my|the|it|please|we)|please|because|but|so|when|if|last|on (?:mon|tues|wednes|thurs|fri|satur|sun)day|by (?:mon|tues|wednes|thurs|fri|satur|sun)day|instead|tomorrow|today|now)\b", re.IGNORECASE)  # fmt: skip


def _until_clause(text: str, body: re.Match[str]) -> int:
    clause = CLAUSE.search(text, body.start(), body.end())
    return len(text[: clause.start() if clause else body.end()].rstrip(" ,"))


def _extended(text: str, end: int) -> int:
    """The end of an address with its unit, town, state, country and post code."""
    start = end
    for _ in range(MAX_TAIL):
        match = TAIL.match(text, end)
        if not match or match.end() - start > LONGEST:
            return end
        town = match["dot"]
        if town and ("," not in match["gap"] and "\n" not in match["gap"] and end == start and " " not in match["gap"]):
            return end
        if town and NOT_A_TOWN.match(town):
            return end
        if match["gap"].count("\n") > 2:  # noqa: PLR2004  # more than a blank line between
            return end
        end = match.end()
    return end
