"""Hate, threats and abuse aimed at a person or a group, in a question or in an answer.

Anger about a parcel is no abuse, swearing alone neither (see `profanity`): it takes a slur, a threat, or an
insult aimed at somebody. Word lists of our own, English and Vietnamese.
"""

from guards.base import DeskView, Example, Finding, Inspected, guard
from guards.heads import PART
from guards.rules import SURE, Family, RuleSet

NAME = "toxicity"

WORDS = {
    "swear": r"f+u+c+k+ing|f+u+c+k+in|fkn|damn(?:ed)?|goddamn|bloody|stupid|dumb|fat|ugly|dirty|filthy|disgusting|worthless|useless|pathetic|retarded|lying|little|old|absolute|total|complete",
    "insult": r"idiots?|morons?|imbeciles?|retards?|bitch(?:es)?|bastards?|whores?|sluts?|assholes?|arseholes?|dickheads?|cunts?|scumbags?|pigs?|trash|scum|vermin|losers?|pricks?|wankers?|"
    r"twats?|dumbass(?:es)?|dumbfucks?|fuckers?|motherfuckers?|shitheads?|pieces? of (?:shit|crap|trash)|cockroach(?:es)?|subhumans?|fuckwits?|douchebags?|jackass(?:es)?|clowns?|freaks?|degenerates?",
    "group": r"muslims?|jews?|jewish|blacks?|whites?|asians?|mexicans?|immigrants?|refugees?|gays?|lesbians?|trans(?:gender)?s?|women|men|indians?|chinese|arabs?|africans?|christians?|hindus?|disabled(?: people)?|gypsies|"
    r"americans?|foreigners?|liberals?|republicans?|democrats?|conservatives?|feminists?|vietnamese",
    "harm": r"kill|murder|stab|shoot|hurt|beat|burn|bomb|strangle|rape|slaughter|destroy|find|hunt|punch|smash|break",
}
FAMILIES = (
    Family("slur", 1.0, ("nig", "fag", "kike", "chink", "spic", "gook", "tranny", "wetback", "raghead", "towelhead", "coon", "dyke", "paki", "retard", "libtard", "sand "),
           r"\b(?:nigg(?:er|a|ah|uh)s?|fag(?:got)?s?|kikes?|chinks?|spics?|gooks?|trann(?:y|ies)|wetbacks?|ragheads?|towelheads?|coons|dykes?|pakis?|retard(?:ed|s)?|\w{2,8}tards?)\b"),
    Family("threat", 1.0, ("kill", "murder", "stab", "shoot", "hurt", "beat", "burn", "bomb", "strangl", "rape", "find you", "hunt", "where you live", "punch", "slaughter", "smash your", "break your"),
           r"\b(?:i(?:'ll| will|'m going to| am going to|'m gonna| gonna|'d like to| want to| would love to| swear i'll| hope (?:someone|somebody) (?:will )?)|we(?:'ll| will| are going to))"
           r"<2>{harm}(?:s|ed)?<1>(?:you(?! (?:out|an?)\b)|your (?:family|kids|children|mother|wife|face|house|office|staff|head|legs?|neck|team|store|shop|whole)|him|her(?! to)|them all|all of (?:you|them)|everyone|everybody)\b(?! (?:an?|the|another|in stock|online|on)\b)"
           r"|\bi know where you (?:live|work)\b|\b(?:you|they|he|she|all of (?:you|them)|{group}) (?:all )?(?:should|deserve to|need to|must|ought to) (?:all )?(?:die|be (?:shot|killed|hanged|hung|raped|exterminated|gassed|deported|burned|lynched|put down)|burn|rot|hang)\b"),
    Family("wish_death", 1.0, ("kill yourself", "kys", "die", "rot in", "hang yourself", "drop dead", "burn in", "neck yourself"),
           r"\b(?:kill|hang|neck|shoot) (?:yourself|urself|yourselves)\b|\bkys\b|\b(?:hope|wish|want|pray) (?:that )?(?:you|u|he|she|they|your (?:family|kids))(?: all| both)? (?:die|dies|rot|burn|choke|suffer|get (?:cancer|raped|shot|killed))\b|\b(?:go|just|please) (?:and )?die\b|\brot in (?:hell|prison|jail)\b|\bburn in hell\b|\bdrop dead\b"),
    Family("insult", 1.0, ("idiot", "moron", "imbecile", "retard", "bitch", "bastard", "whore", "slut", "hole", "dick", "cunt", "scum", "pig", "trash", "vermin", "loser", "prick", "wanker", "twat", "fuck", "dumb", "shit", "crap", "cockroach", "subhuman", "douche", "ass", "clown", "freak", "degenerate", "piece"),
           r"\b(?:you(?:'re| are| r)?|ur|u(?: r)?|he(?:'s| is)|she(?:'s| is)|they(?:'re| are)|these|those|this|that|what an?|such an?|fuck(?:ing)?|hey|shut up|the)(?: all| both| guys| people)?"
           r"(?: (?:just|so|such|a|an|the|bunch of|all|nothing but|real|really|are|is|of|\w{1,10}ing))*(?: {swear})* {insult}\b"),
    Family("fuck_you", 1.0, ("fuck", "screw", "suck"),
           r"\bf+u+c+k+ (?:off\b|(?:you|u|ya|him|her|them|all of you|everyone|these|those|all)\b|(?:the )?{group}\b)|\bgo f+u+c+k+ (?:yourself|urself)|\bsuck (?:my|a) (?:dick|cock|d)\b|\beat (?:shit|my ass)\b"),
    Family("hate", 1.0, ("hate", "despise", "exterminat", "inferior", "subhuman", "animals", "vermin", "go back to", "deport", "parasite", "filth", "scum", "gas the", "plague", "evil"),
           r"\b(?:hate|despise|can'?t stand|exterminate|gas|deport|lynch|get rid of) (?:all |every |the |those |these |fucking )*{group}\b|\b{group} (?:people )?are (?:all )?(?:\w{1,10} )?(?:animals|vermin|inferior|subhuman|parasites|filth|scum|trash|"
           r"a plague|criminals|terrorists|rapists|monkeys|pigs|evil|thieves|disgusting|stupid|savages|idiots)\b|\bgo back to (?:your (?:own )?(?:country|kitchen|cave)|africa|mexico|china|india)\b"),
    Family("crude_insult", 0.5, ("idiot", "moron", "retard", "bitch", "whore", "slut", "asshole", "cunt", "scum", "dumbass", "fucker", "shithead", "piece of", "disgust", "pathetic", "stupid", "loser", "pedo", "nazi", "ugly"),
           r"\b(?:{insult}|stupid|pathetic|disgusting|nazis?|pedos?|pedophiles?|braindead|brain-?dead|inbred|ugly)\b"),
    Family("swearing", 0.5, ("fuck", "shit", "ass", "damn", "stfu", "wtf", "bitch", "fk"), r"\b(?:f+u+c+k+\w{0,5}|fk|stfu|shut the|bullshit|\w{0,8}asse?s?|pussy|dick|cock)\b"),
)  # fmt: skip
# Read over the text with its diacritics (folded, "chó" is "cho", a word of every request), and without them where that is safe.
VIETNAMESE = (
    Family("vi_insult", 1.0, ("chó", "ngu", "đĩ", "súc", "khốn", "mày", "thằng", "con ", "óc", "lũ", "bọn", "điếm", "rác", "đồ", "chúng", "mất", "vô", "lồn", "cặc"),
           r"(?<!\w)(?:(?:đồ|lũ|bọn|thằng|con|cái thằng|cái con|quân|loại|mày là|chúng mày|tụi mày|bè lũ)(?: \w{1,8}){0,2}? (?:chó (?:má|đẻ|săn)|ngu(?: si| học| xuẩn| như bò| ngốc| dốt| người| lồn)?|đần(?: độn)?|súc (?:vật|sinh)(?! nuôi)|khốn(?: nạn| kiếp)?|mất dạy|"
           r"đĩ(?: điếm)?|điếm|vô học|não (?:phẳng|tôm|cá|bò)|óc (?:chó|lợn|bò)|bò đỏ|phản động|ba que|cặn bã|bệnh hoạn|mặt lồn|lồn|cặc|hèn|chết tiệt|xạo lồn|láo toét|khùng|điên(?! điển)|thần kinh|mọi rợ)"
           r"|(?:lũ|bọn|quân|bè lũ|thằng|mày là|chúng mày|tụi mày|mày|(?:mày|nó|mi) (?:là|đúng là)|đồ(?! (?:ăn|chơi|cho|dùng|hộp)))(?: (?!cho |của |nhà |nuôi |dắt |bán |có |với |và )\w{1,8}){0,1} (?:con )?chó(?! (?:cưng|nhà|mèo|cảnh|nuôi|của|và|có|bị|thì|poodle|phốc|corgi|lớn|nhỏ|đực|cái))|con chó(?: má| đẻ| săn)? (?:này|kia|mày)\W{0,3}$"
           r"|(?:lũ|bọn|thằng|con|mày là|chúng mày|tụi mày|bè lũ)(?: \w{1,8})? (?:rác rưởi|dơ bẩn)"
           r"|óc (?:chó|lợn|bò)|ngu như (?:bò|chó|lợn)|súc (?:vật|sinh)(?! nuôi)|ngu (?:lồn|vl|vcl|học)|cặn bã|mặt lồn|bọn mọi|ba que|bò đỏ|parky|bắc kỳ|nam kỳ chó|mất dạy|vô học)(?!\w)"),
    Family("vi_abuse", 1.0, ("mẹ", "má", "mày", "mẹ mày", "đụ", "địt", "địt", "đcm", "đkm", "đmm", "dmm", "dcm", "chúng mày", "tổ sư", "cha"),
           r"(?<!\w)(?:(?:địt|đụ|đù|đéo|đ[ịi]t)(?: con)? (?:mẹ|má|cụ|bà|cha|bố)(?: (?:mày|chúng mày|tụi mày|nó|thằng|bọn|cả lũ))?|(?:đmm|dmm|đcmm|đkm mày|đm (?:mày|chúng mày|thằng|bọn|con))|tổ sư (?:cha|bố|mày)|mả (?:cha|mẹ|bố)(?: (?:mày|nó))?|con mẹ mày|cả lò (?:mày|nhà mày))(?!\w)"),
    Family("vi_threat", 1.0, ("giết", "chém", "đập", "đâm", "đốt", "chết", "đánh", "xử", "bắn"),
           r"(?<!\w)(?:(?:tao|tau|t|bố mày|ông|tôi) (?:sẽ |thề |phải |mà |cho người |sẽ cho người )?(?:giết|chém|đập chết|đập nát|đâm|đốt|xử|đánh chết|bắn|thịt|băm) (?:chết |nát |cả |hết |sạch )?(?:mày|chúng mày|tụi mày|bọn mày|cả nhà|nhà|shop|cửa hàng|thằng|con|nó|lũ|bọn)|"
           r"(?:mày|chúng mày|tụi mày|bọn mày|lũ (?:chúng )?mày|thằng này|bọn nó|nó)(?: \w{1,6}){0,2} (?:chết đi|đi chết|đáng chết|nên chết|chết mẹ)|(?:đi chết đi|chết (?:mẹ|cha|cụ) (?:mày|đi)))(?!\w)"),
)  # fmt: skip

EXAMPLES = (
    Example("I will find you and burn your office down.", "block"),
    Example("You are all worthless idiots, kill yourselves.", "block"),
    Example("Tao sẽ giết chúng mày, lũ chó chết.", "block"),
    Example("Where is my goddamn order? I need to talk to a damn person!", "pass"),
    Example("Làm ăn kiểu quái gì vậy, giao nhầm hàng cho tôi rồi?!", "pass"),
    Example("I will kill the order if it does not come, my kids hate the old pan.", "pass"),
    Example("Con chó nhà em cắn rách hộp, còn đổi được không?", "pass"),
    Example("Đồ chó cưng có bán không shop?", "pass"),
)


@guard("both", 50)
class Toxicity:
    """Blocks abuse of people."""

    def __init__(self, desk: DeskView) -> None:
        self._heads, self._threshold = desk.heads, desk.threshold(NAME)
        self._rules = RuleSet(FAMILIES, WORDS)
        self._vietnamese = RuleSet(VIETNAMESE)

    def check(self, seen: Inspected) -> Finding | None:
        hits = (self._rules.look(seen.views), self._vietnamese.look((seen.text.lower(),)))
        hint = min(1.0, sum(hit.score for hit in hits))
        if hint >= SURE or seen.places is None:
            return Finding("block" if hint >= SURE else "pass", NAME if hint else "", hint)
        # Without diacritics harmless words look like abuse, which is mostly typed so ("ban", "con", "khong").
        blocks, score = self._heads.judged(NAME, hint, seen.spelled or seen.places, self._threshold, seen.vector)
        return Finding("block", NAME, score, part=PART) if blocks else Finding("pass", NAME if hint else "", score)
