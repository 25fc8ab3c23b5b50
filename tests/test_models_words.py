"""What is told of a question without a model: language, small talk, the wish for a person, how hard it is."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.turn import Message
from models import ComplexityRouter, detect_language
from models.smalltalk import is_vague, matter, small_talk, wants_person
from models.tokens import estimate_request, estimate_tokens
from models.words import bare, fold

SMALL_TALK = {
    "greeting": [
        "Hi",
        "hello there",
        "Hiiii!!",
        "good morning team",
        "xin chào",
        "Chào shop",
        "chao ban",
        "shop ơi",
        "alo",
        "hey 👋",
        "Chào buổi sáng ạ",
        "is anyone there?",
    ],
    "thanks": [
        "thanks",
        "Thank you so much!",
        "thx",
        "cảm ơn shop nhiều nhé",
        "cam on ban",
        "ok thanks",
        "Thanks for your help",
        "Perfect, thank you",
        "da em cam on a",
        "cám ơn",
    ],
    "bye": ["bye", "goodbye and thanks", "tạm biệt", "see you later", "have a nice day!", "ok bye"],
    "robot": [
        "are you a robot?",
        "Is this a bot?",
        "am i talking to a real person",
        "am i talking to a real person or is this a bot",
        "bạn là robot à?",
        "ban co phai nguoi that khong",
        "Hi, are you human?",
        "who are you?",
        "bạn là ai",
        "đây là bot hay người thật vậy?",
    ],
    "how_are_you": ["how are you?", "hi, how are you doing today", "bạn khỏe không", "ban co khoe khong"],
    "compliment": [
        "great service",
        "you are awesome",
        "bạn giỏi quá",
        "tuyet voi",
        "good job bot",
        "that was very helpful",
    ],
    "acknowledgement": [
        "ok",
        "never mind, I figured it out",
        "oh that answers my question",
        "okay, it went through this time",
        "the problem is solved now",
        "no that was it",
        "à ra vậy, mình hiểu rồi",
        "mình thanh toán xong rồi nhé",
        "ok em đăng nhập được rồi nha",
        "không còn gì nữa đâu ạ",
        "dạ vâng",
        "got it",
        "hiểu rồi ạ",
        "no",
        "ok it works now",
        "I'll try that",
        "let me check with my husband first",
        "all sorted now",
        "found it",
        "để em hỏi lại chồng em đã",
        "mình làm được rồi ạ",
        "de minh thu lai xem sao",
        "right so, I'll ring them tomorrow",
        "vâng để mình chuyển khoản",
    ],
}
NO_SMALL_TALK = [
    "ok but it still fails",
    "is it all sorted now",
    "it works now?",
    "all I need is help",
    "I found a problem",
    "it no works",
    "it was working fine",
    "it works now and again",
    "great, I'll take the blue one",
    "all sorted except the refund",
    "vỡ rồi em ơi",
    "không được em ơi",
    "đợi được tuần rồi",
    "đăng nhập được chưa nhỉ",
    "da nhan duoc nhung sai mau",
    "ok để mình lấy cái lớn",
    "hi, where is my order",
    "thanks but it is broken",
    "how do i return",
    "is this shirt real leather",
    "are you open on sunday",
    "xin chào, đơn của tôi đâu",
    "cảm ơn nhưng tôi muốn đổi size",
    "shop có bán áo không",
    "is it good for winter",
    "good quality?",
    "12345",
    "",
    "do you ship to Hue",
    "bao giờ có hàng",
    "are you a company",
    "is this item a bot vacuum",
    "do I have to wait",
    "does it work now",
    "it worked yesterday but not today",
    "it arrived broken",
    "ok i will pay by card if you take it",
    "ok so I'll get my money when",
    "dạ để em hỏi còn phòng không",
    "dạ vâng mai em qua lấy được không ạ",
    "I'll check in at nine, is that ok",
    "để mình hỏi giá đèn bàn",
    "đã nhận được hàng rồi mà bị vỡ",
]
VAGUE = [
    "it doesn't work",
    "help me please",
    "giúp mình với",
    "help",
    "I have a question",
    "có ai giúp mình không",
    "mình cần hỗ trợ",
    "cho hỏi chút",
    "không được",
    "bị lỗi rồi",
    "khong hoat dong",
    "something is wrong",
    "can you help me?",
    "I need help with something",
    "what?",
    "??",
    "tôi có vấn đề",
    "sao vậy",
    "it's broken",
    "có vấn đề rồi shop ơi",
    "tu van giup minh",
]
NOT_VAGUE = [
    "where is my order",
    "it doesn't charge",
    "refund",
    "đơn hàng",
    "shop bán gì",
    "bảo hành",
    "12345",
    "doi size",
    "help with my invoice",
    "giúp mình đổi hàng",
    "mình cần hỗ trợ trả góp",
    "how long is delivery",
    "how do i return this",
    "tra hang",
    "can i pay cash",
    "hoàn tiền",
    "the zipper is broken",
    "quên mật khẩu",
]
PERSON = [
    "I want to talk to a human",
    "talk to a person",
    "can I speak to an agent please",
    "connect me to customer service",
    "get me a real person",
    "human please",
    "agent",
    "I need a representative",
    "transfer me to your manager",
    "let me speak with someone",
    "speak to someone in support",
    "is there a real person i can talk to",
    "stop talking to a bot",
    "I'd like to speak with a supervisor now",
    "gặp nhân viên",
    "cho tôi gặp người thật",
    "nối máy cho tôi với tổng đài viên",
    "chuyen cho tu van vien",
    "muon noi chuyen voi nguoi that",
    "cho mình chat với nhân viên",
    "Tôi muốn gặp quản lý",
    "gap nhan vien tu van",
    "cho em xin gặp nhân viên hỗ trợ",
    "không muốn nói chuyện với bot nữa",
    "can a human call me",
    "this is useless, give me a human",
    "kết nối với chăm sóc khách hàng",
    "có nhân viên nào đang trực không",
]
NO_PERSON = [
    "do I have to speak to a person to return?",
    "I spoke to an agent yesterday",
    "the agent was rude",
    "can someone help me?",
    "I don't want to talk to anyone",
    "do i need to call customer service to cancel",
    "what are customer service hours",
    "nhân viên giao hàng không gọi",
    "có cần gặp nhân viên để đổi hàng không",
    "nhân viên giao hàng thái độ kém",
    "can I give my order to another person",
    "is the courier a real person",
    "without talking to a person can i return",
    "I want to return a gift for a person",
    "tôi không muốn gặp nhân viên",
    "một người khác nhận hàng hộ được không",
    "giao cho người khác nhận được không",
    "how do I contact support",
    "does a manager approve refunds",
    "I need a human size chart",
    "tôi cần hoàn tiền",
    "chuyển đơn cho người khác nhận",
]
ENGLISH = [
    "order?",
    "hi",
    "where is my parcel",
    "ok",
    "my card was declined twice",
    "Samsung charger voltage",
    "refund pls",
    "cancel",
    "CAN I RETURN THIS",
    "broken zipper",
    "Warranty claim",
    "size guide",
    "I want to buy a gift for Linh",
    "do you deliver to Da Nang",
    "promo code expired",
    "who are you",
    "no",
]
VIETNAMESE = [
    "don hang",
    "alo",
    "gia bao nhieu",
    "sao cham vay",
    "Đơn của tôi đâu",
    "toi muon doi size ao",
    "shop oi",
    "bao hanh",
    "phi ship ra ha noi",
    "cam on",
    "doi tra",
    "ma giam gia",
    "huy don",
    "ok ban",
    "khi nao hang ve",
    "hang loi",
    "mua o dau",
    "thanh toan the",
    "quen mat khau",
    "Xin chào",
    "giao nham mau",
    "nhan vien dau",
    "san pham nay con khong",
    "refund giúp mình",
    "toi can ho tro",
    "check giup em don 12345",
]
ROUTES = [
    ("simple", "How long does delivery take?", "Giao hàng mất bao lâu?"),
    ("simple", "What is your return policy?", "Chính sách đổi trả của shop thế nào?"),
    ("simple", "Do you accept PayPal?", "Shop có nhận PayPal không?"),
    ("simple", "How do I reset my password?", "Làm sao để đặt lại mật khẩu?"),
    ("simple", "Where can I see my invoice?", "Tôi xem hóa đơn ở đâu?"),
    ("simple", "Is there a warranty on headphones?", "Tai nghe có bảo hành không?"),
    ("simple", "Do you ship to Canada?", "Shop có giao hàng sang Canada không?"),
    ("simple", "Can I change the delivery address?", "Tôi có thể đổi địa chỉ giao hàng không?"),
    ("medium", "Can I still return it if I opened the box?", "Tôi có được trả lại không nếu đã mở hộp?"),
    (
        "medium",
        "What is the difference between standard and express shipping?",
        "Giao hàng tiêu chuẩn và giao hàng nhanh khác nhau thế nào?",
    ),
    (
        "medium",
        "How do I return a gift, and how long does the refund take?",
        "Làm sao để trả lại quà tặng, và bao lâu thì được hoàn tiền?",
    ),
    (
        "medium",
        "I bought it 20 days ago, is it too late to return it?",
        "Tôi mua cách đây 20 ngày trước, có quá hạn trả hàng chưa?",
    ),
    (
        "medium",
        "My parcel never arrived although tracking says delivered",
        "Đơn hàng của tôi chưa đến mặc dù hệ thống báo đã giao",
    ),
    (
        "medium",
        "This is the third time I ask, your service is terrible!",
        "Đây là lần thứ ba tôi hỏi, dịch vụ của shop quá tệ!",
    ),
    (
        "medium",
        "Walk me through the steps to send a broken kettle for repair",
        "Hướng dẫn tôi các bước gửi ấm bị hỏng đi sửa",
    ),
    (
        "complex",
        "I ordered 3 shirts at 20 each with a 10% code and want to return one, how much do I get back if shipping was free, and when?",
        "Tôi đặt 3 áo giá 20 mỗi cái với mã giảm 10% và muốn trả lại một cái, tôi được hoàn bao nhiêu nếu phí ship miễn phí, và khi nào?",
    ),
    (
        "complex",
        "If I cancel after it shipped but before it arrives, do I pay the return fee, and is that different for sale items?",
        "Nếu tôi hủy sau khi đã gửi nhưng trước khi hàng đến, tôi có phải trả phí hoàn không, và có khác với hàng giảm giá không?",
    ),
    (
        "complex",
        "I was charged twice, nobody answers, and now the refund is missing. What do I do and when do I get my money? This is unacceptable!",
        "Tôi bị trừ tiền hai lần, không ai trả lời, và giờ tiền hoàn cũng bị mất. Tôi phải làm gì và khi nào nhận được tiền? Không thể chấp nhận được!",
    ),
    (
        "complex",
        "Which is better for me if I travel a lot: the warranty extension or the insurance? Compare the costs for 2 years and tell me what happens if it is stolen.",
        "Nếu tôi đi du lịch nhiều thì nên chọn gói nào: gia hạn bảo hành hay bảo hiểm? So sánh chi phí cho 2 năm và cho tôi biết nếu bị đánh cắp thì sao.",
    ),
    (
        "complex",
        "I have two questions: can I exchange the shoes if I lost the receipt, and if the new pair costs more, how do I pay the difference?",
        "Tôi có hai câu hỏi: tôi có thể đổi giày nếu mất hóa đơn không, và nếu đôi mới đắt hơn thì tôi trả phần chênh lệch thế nào?",
    ),
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in SMALL_TALK.items() for text in texts])
def test_small_talk_is_known_with_and_without_diacritics(kind, text):
    assert small_talk(text) == kind
    assert small_talk(fold(text)) == kind
    assert small_talk(f"  {text.upper()} !") == kind


@pytest.mark.parametrize("text", NO_SMALL_TALK + NOT_VAGUE + PERSON + [english for _, english, _ in ROUTES])
def test_a_message_with_more_than_small_talk_is_none(text):
    assert small_talk(text) is None


@pytest.mark.parametrize("text", VAGUE)
def test_a_message_that_names_nothing_is_vague(text):
    assert is_vague(text)
    assert is_vague(fold(text))


@pytest.mark.parametrize("text", NOT_VAGUE + [text for route in ROUTES for text in route[1:]])
def test_a_message_that_names_something_is_not_vague(text):
    assert not is_vague(text)


def test_a_word_with_other_diacritics_is_another_word():
    assert is_vague("bạn ơi giúp")
    assert not is_vague("bán ơi giúp")


@pytest.mark.parametrize("text", PERSON)
def test_who_asks_for_a_person_is_heard(text):
    assert wants_person(text)
    assert wants_person(fold(text))
    assert wants_person(f"Hi! {text}." if not text.startswith("agent") else text)


@pytest.mark.parametrize("text", NO_PERSON + NOT_VAGUE + [text for route in ROUTES for text in route[1:]])
def test_who_mentions_a_person_is_not_handed_over(text):
    assert not wants_person(text)
    assert not wants_person(fold(text))


@pytest.mark.parametrize(
    ("language", "text"), [("en", text) for text in ENGLISH] + [("vi", text) for text in VIETNAMESE]
)
def test_the_language_of_short_texts_is_found_without_diacritics_too(language, text):
    for order in (["en", "vi"], ["vi", "en"]):
        assert detect_language(text, order) == language
        assert detect_language(fold(text), order) == language


@pytest.mark.parametrize("text", ["", "12345", "#A-991", "<EMAIL_1>", "order@shop.example", "???", "🙂"])
def test_a_text_without_words_is_in_the_desks_first_language(text):
    assert detect_language(text, ["vi", "en"]) == "vi"
    assert detect_language(text, ["en", "vi"]) == "en"


def test_a_desk_of_one_language_answers_in_it():
    assert detect_language("xin chào", ["en"]) == "en"


@pytest.mark.parametrize(("tier", "english", "vietnamese"), ROUTES)
def test_a_question_and_its_translation_get_the_same_tier(tier, english, vietnamese):
    router = ComplexityRouter()
    assert router.judge(english, language="en").tier == tier
    assert router.judge(vietnamese, language="vi").tier == tier
    assert router.judge(fold(vietnamese), language="vi") == router.judge(vietnamese, language="vi")


def test_the_verdict_says_what_made_a_question_hard():
    verdict = ComplexityRouter().judge("What is the difference, and how much is left in total?", language="en")
    assert {reason.split(" (")[0] for reason in verdict.why} >= {"compares", "has to be worked out"}
    assert verdict.score == pytest.approx(sum(float(reason[-5:-1]) for reason in verdict.why))
    plain = ComplexityRouter().judge("Do you sell tea?", language="en")
    assert (plain.score, plain.why) == (0.0, ["plain question"])


def test_history_and_shouting_add_to_the_score():
    router = ComplexityRouter()
    calm = router.judge("Where is my parcel?", language="en")
    assert router.judge("Where is my parcel?", language="en", history=8).score > calm.score
    assert router.judge("WHERE THE HECK IS MY PARCEL!!", language="en").score > calm.score


@pytest.mark.parametrize(
    "text",
    ["kiện hàng của tôi ở đâu", "shop trả lời qua kênh nào", "áo này chất liệu gì", "quyền lợi thành viên là gì"],
)
def test_words_that_look_alike_without_diacritics_do_not_make_a_question_hard(text):
    assert ComplexityRouter().judge(text, language="vi").score == 0


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "what a joke, give me an answer"), ("vi", "làm ăn kiểu gì vậy"), ("vi", "toi that vong qua")],
)
def test_an_upset_customer_gets_more_than_the_cheapest_model(language, text):
    verdict = ComplexityRouter().judge(text, language=language)
    assert verdict.tier == "medium"
    assert verdict.why == ["is upset (+0.26)"]


def test_judging_takes_less_than_a_millisecond():
    router = ComplexityRouter()
    router.judge("warm", language="vi")
    texts = [text for route in ROUTES for text in route[1:]]
    best = min(_seconds(router, texts) for _ in range(5))
    assert best / len(texts) < 0.001


def _seconds(router, texts):
    began = time.process_time()
    for text in texts:
        router.judge(text, language="vi")
    return time.process_time() - began


MATTERS = [
    ("Good evening dear support team! I hope you are all doing well. {} Thanks in advance, looking forward to your reply.", "Do you ship to Oslo?"),
    ("Dear Sir or Madam,\n\n{}\n\nKind regards,\nAnna van den Berg", "My lamp is broken. What now?"),
    ("My name is <PERSON_1>, my e-mail is <EMAIL_1>. {}", "Can I change the address of my order?"),
    ("Could you help me please? {}", "I was charged twice."),
    ("Dạ chào shop ạ, cho em hỏi chút. {} Em cảm ơn shop nhiều ạ!", "Máy xay có xay được đá không?"),
    ("Kính gửi bộ phận chăm sóc khách hàng,\n{}\nTrân trọng,\nNguyễn Lan", "Đơn của tôi bị giữ lại. Vì sao?"),
    ("chao shop, em ten la <PERSON_1>, sdt <PHONE_1>. {}", "bao lau thi giao"),
]  # fmt: skip


@pytest.mark.parametrize(("around", "said"), MATTERS, ids=range(len(MATTERS)))
def test_what_stands_around_a_matter_is_left_out(around, said):
    message = around.replace("{}", said)
    assert matter(message) == said
    assert small_talk(message) is None
    assert not is_vague(message)


@pytest.mark.parametrize(
    "message",
    [
        "Can I contact support by phone?",
        "I hope you can refund me.",
        "Thanks for the quick delivery. The lamp is great, but it flickers.",
        "Please change my e-mail to <EMAIL_1>.",
        "Are you a robot? How do I return it?",
        "My husband and I are customers of yours. Where is it?",
        "Tôi muốn hỏi về bảo hành",
        "Giúp mình đổi hàng",
        "Hi there!",
        "My name is <PERSON_1>.",
        "Kind regards, Anna",
        "",
    ],
)
def test_a_message_with_nothing_around_its_matter_or_without_one_stays_whole(message):
    assert matter(message) == message


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("My name is <PERSON_1>, <EMAIL_1>, call me at <PHONE_1>. Hi there", "greeting"),
        ("Thank you so much, I look forward to your reply. Best wishes, Anna", "thanks"),
        ("Kính gửi bộ phận chăm sóc khách hàng. Cảm ơn bạn nhiều nhé, tạm biệt", "bye"),
    ],
)
def test_courtesies_around_small_talk_are_part_of_it(message, kind):
    assert small_talk(message) == kind


def test_who_only_says_who_they_are_is_asked_what_about():
    assert is_vague("My name is <PERSON_1>, you can reach me at <EMAIL_1>.")
    assert is_vague("Hello, I have a quick question for you")


@given(st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_a_matter_is_a_part_of_the_message_and_has_none_around_it(message):
    found = matter(message)
    assert found in message
    assert bool(found.strip()) == bool(message.strip())


@given(st.text(max_size=400))
@settings(max_examples=60, deadline=None)
def test_any_text_has_an_answer(text):
    assert small_talk(text) in {None, *SMALL_TALK}
    assert isinstance(is_vague(text), bool)
    assert isinstance(wants_person(text), bool)
    assert detect_language(text, ["vi", "en"]) in ("en", "vi")
    verdict = ComplexityRouter().judge(text, language="en")
    assert 0 <= verdict.score <= 1
    assert bare(fold(text)) == bare(fold(fold(text)))


@given(st.text(max_size=200), st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_the_token_estimate_is_bounded_by_bytes_and_never_below_words(one, other):
    estimate = estimate_tokens(one)
    assert estimate <= len(one.encode(errors="surrogatepass"))
    assert estimate >= len(one.split()) if one.isascii() else estimate >= 0
    assert estimate_tokens(f"{one}.{other}") == estimate_tokens(one + ".") + estimate_tokens(other)


# Counted by the embedded model's own tokenizer, over its server.
@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The return window is thirty days from delivery and items must be unused.", 14),
        ("Đổi trả trong vòng 30 ngày kể từ ngày nhận hàng, sản phẩm còn nguyên tem.", 21),
        ("doi tra trong vong 30 ngay ke tu ngay nhan hang", 17),
        ("order #A1-99/2026: 1,234,567.89 VND!!!", 29),
        ("xqzvkj wrtplk zzxxcv", 11),
        ("😀😀 ok", 3),
        ("    indented\n\n\ttext", 5),
        ("naïve café — “quoted”", 8),
    ],
)
def test_the_token_estimate_is_an_upper_bound(text, tokens):
    assert tokens <= estimate_tokens(text) <= 4 * tokens


def test_every_message_adds_its_frame():
    one, two = ([Message("user", "hi")] * count for count in (1, 2))
    assert estimate_request(two) - estimate_request(one) > estimate_tokens("hi")
    assert estimate_request([]) > 0
