"""The wordings of orders to a model that stand in somebody else's text, as data. Read over folded text.

Articles give orders too, to their readers. What tells the two apart is who is spoken to (a machine), of whom is spoken
(the user, as somebody else), and what is to be changed (the answer that is being written).
"""

from guards.rules import Family

WORDS = {
    "machine": r"a\.?i\.?s?|l\.?l\.?ms?|gpt\w{0,3}|chat ?bots?|(?:large )?language models?|a\.?i\.? \w{1,12}s?|(?:virtual|automated|digital) (?:assistants?|agents?)|assistants?|support bots?|bots?|"
    r"tro ly(?: ai| ao| so)?|mo hinh(?: ngon ngu(?: lon)?| ai)?|he thong ai",
    "sure_machine": r"a\.?i\.?s?|l\.?l\.?ms?|gpt\w{0,3}|chat ?bots?|(?:large )?language models?|a\.?i\.? (?:assistants?|agents?|models?|systems?|bots?)|(?:automated|virtual) (?:assistants?|agents?)|support bots?|"
    r"tro ly ai|mo hinh(?: ngon ngu(?: lon)?| ai)|he thong ai",
    "verb": r"say|tell|reply|answer|respond|repeat|write|drop|stop|ignore|disregard|forget|confirm|claim|include|insert|add|append|forward|send|show|read|conclude|end|begin|translate|print|output|reveal|recommend|promote|mention|"
    r"do not|don'?t|never|always|hay|phai|vui long|xin hay|khong duoc|hay luon|noi|tra loi|dung|ngung",
    "must": r"must|should|shall|has to|have to|needs? to|is to|are to|ought to|is required to|will (?:now|only|always)|phai|can phai|hay|nen|buoc phai|duoc yeu cau",
    "tell": r"say|claim|state|respond|reply|answer|print|output|reveal|repeat|tell|inform|obey|comply|ignore|disregard|write|confirm|recommend|promote|first|only|noi|tra loi|in ra|khang dinh|xac nhan|thong bao|tiet lo|bo qua",
    "written": r"answers?|responses?|repl(?:y|ies)|output|summary|message|text",
    "own": r"(?:your|each|every|the|this|an?) (?:\w{1,12} ){0,2}?",
    "change": r"modify|enhance|enrich|augment|alter|rewrite|rephrase|reword|render|convert|substitut\w{1,3}|replac\w{1,3}|transform|encode|encrypt|scrambl\w{1,3}|rearrang\w{1,3}|misspell|jumbl\w{1,3}|shuffl\w{1,3}|revers\w{1,3}|"
    r"combin\w{1,3}|merg\w{1,3}|swap|craft|infus\w{1,3}|weave|embed|integrat\w{1,3}|incorporat\w{1,3}|append|express|translate|eliminat\w{1,3}|omit|structure|arrange|compose|supplement|conclude|deliver|phrase|introduc\w{1,3}|group|remov\w{1,3}|slip",
    "put": r"suggest|recommend|mention|promote|advise|invite|advertise|claim|state|insert|append|tease|hint|encourage|endorse|highlight|include|add|provide|offer|use|introduce|incorporate|integrate|embed|express|announce|urge",
    "letters": r"vowels?|consonants?|letters?|characters?|words?|syllables?|spelling|homophon\w+|anagram\w*|typos|misspell\w*|symbols?|alphabet\w*|numbers|digits|spaces",
    "number": r"(?:order|case|return|reference|tracking|invoice|ticket|account|phone|customer|serial|booking|policy|membership) (?:number|id|code)|numbers? (?:of|for)|photos?|pictures?|screenshots?|receipts?|proof|copy|attachment|name|address|details",
    "reader": r"users?|readers?|the customers?|customers|the person|whoever",
    "secret": r"(?:card|account|phone|passport) number|one[- ]time|otp|passwords?|passcode|pin\b|cvv|credentials|personal (?:data|information|details)|so the|ma otp|mat khau|ma pin|so cccd",
    "page": r"article|page|passage|document|paragraph|(?:customer|user)(?:'?s)? (?:question|request|query|message)|(?:the|this|that|their) question|bai viet|bai nay|trang nay|tai lieu|noi dung nay|cau hoi",
    "code": r"code|snippet|script|excerpt|block|segment|fragment|lines of code|program",
    "risky": r"subprocess|socket|psutil|shutil|pickle|smtplib|secure_smtplib|ctypes|winreg|paramiko|ftplib|telnetlib|pynput|scapy|getpass|usb|browser_?cookie3?|webbrowser|multiprocessing|glob|platform|nmap|tempfile|pyperclip|keyboard|mmap|gc",
}

START = r"(?:^|[\n.!?\[\](){}<>#*|:;\"'“-])\W{0,4}"

FAMILIES = (
    Family("addressed", 1.0,
           ("ai", "a.i", "llm", "gpt", "bot", "model", "assistant", "agent", "tro ly", "mo hinh"),
           START + r"(?:(?:important|note|notes|notice|attention|warning|message|instructions?|dear|hey|hi|hello|reminder|system notice|system|urgent|gui|kinh gui|danh rieng|danh|luu y|chu y|thong bao|hoi|ghi chu)\W{0,3}){0,3}"
           r"(?:to|for|cho|danh cho|gui|toi|den)?\W{0,2}(?:the |all |any |every |cac |moi )?(?:{machine}|language model|the model)(?: only| only\W| model| reading this| nhe| oi)?\s?[:,–—]\W{1,4}"
           r"(?:please |kindly |now |you (?:must|should|will|are|have to|may|can)\b|sure\b|the (?:user|customer)|customers who|whoever|every|all |when |from (?:now|here)|prior |this |(?:{verb})\b|nguoi dung|khach|moi |khi )"),
    Family("machine_must", 1.0,
           ("ai", "a.i", "llm", "gpt", "bot", "model", "assistant", "agent", "tro ly", "mo hinh"),
           r"\b(?:{sure_machine}|the (?:assistant|model|bot)|tro ly)\b(?: (?:reading|processing|who|that|which|seeing|parsing|doc|xu ly|dang doc|nao)\b[^.\n]{0,40}?)? (?:{must}) (?:\w{1,12} ){0,2}?(?:{tell})\b"),
    Family("machine_reads", 1.0,
           ("ai", "a.i", "llm", "gpt", "bot", "model", "assistant", "agent", "tro ly", "mo hinh"),
           r"\bif you(?:'re| are) (?:an? |the )?(?:{machine})\b|\b(?:{machine}|model)(?: (?:that|which|who) (?:is|are))? (?:reading|processing|summari[sz]ing|parsing|scanning) (?:this|the (?:text|page|document|article))|"
           r"\bneu (?:ban la (?:mot )?)?(?:{machine})\b[^.\n]{0,20}? (?:doc|xu ly|tom tat)|\b(?:{machine}) (?:nao )?(?:dang )?(?:doc|xu ly|tom tat) (?:doan|tai lieu|trang|bai|van ban)"),
    Family("changed_answer", 1.0,
           ("answer", "response", "repl", "output", "summary", "message", "text"),
           r"\b(?:{change})\b(?! ?(?:ly|ion|ions))(?:[^.\n]{0,80}?\b(?:in|of|into|to|for|with|throughout|within|from|at the (?:end|start|beginning) of))? {own}(?:{written})\b"
           r"(?! (?:by (?:clicking|selecting|tapping|choosing|pressing|going|opening|editing)|in the (?:form|app|settings|survey)|field|box|form|template|code|size|messages?|settings?|notifications?|alerts?|input|time|within))"),
    Family("put_in_answer", 1.0,
           ("answer", "response", "repl", "output", "summary"),
           r"\b(?:in|within|during|throughout|while (?:composing|writing)|when (?:composing|writing|answering|responding)|to|into) your (?:\w{1,10} )?(?:answers?|responses?|reply|output|summary)\W{1,3}(?:you (?:must|should) |please |make sure to |always |be sure to |also |then |just )?(?:{put})\b"
           r"(?!<4>(?:{number})|<2>us\b)|\b(?:{put}) in your (?:response|output|summary)\b(?!<4>(?:{number}))|\b(?:suggest|recommend|mention|promote|advertise|endorse|tease|praise|criticize)\b[^.\n]{3,120}? (?:in|within|throughout) your (?:answers?|responses?|reply|output|summary)\b"
           r"|\b(?:{put}|put) (?:[\"“'‘][^\"”\n]{12,200}[\"”'’]|an? (?:tip|invitation|link|endorsement|advertisement|joke|disclaimer|warning|reminder|note|statement|sentence|phrase|recommendation|mention|promotion|rumou?r|claim|call)\b)[^\n]{0,100}? (?:to|in|into|within) (?:your|the) (?:answers?|responses?|reply|output|summary)\b"),
    Family("answer_must", 1.0,
           ("answer", "response", "repl", "output", "summary"),
           r"\b(?:your|the assistant'?s|each|every) (?:answers?|responses?|repl(?:y|ies)|output|summary) (?:must|should|has to|needs to|will|shall) (?:\w{1,12} ){0,2}?(?:end|begin|start|conclude|finish|close|mention|praise|recommend|advertise|consist) (?:with|by|in|of|the|our|that)\b"
           r"|\b(?:conclude|end|finish|begin|start|open|close) (?:your|each|every) (?:answer|response|output|summary)s? (?:with|by)\b|\b(?:provide|give|present|write|deliver|make|craft|type|spell|state) (?:your|the|all|every) (?:answers?|responses?|reply|output) (?:only |entirely |solely )?(?:in|as|with|using|through|backwards?|twice)\b"
           r"(?! (?:the (?:form|app|box|field)|writing|english or|full|detail|an? (?:e-?mail|letter|pdf)|person|your account))|\b(?:answer|respond|reply)(?: to)?(?: \w{1,12}){0,3}? (?:only )?in (?:capital letters|all caps|the (?:voice|style|manner|tone) of|rhymes?|riddles?|verse|morse|emojis?|pig latin|leetspeak)\b|\b(?:answer|respond|reply) as (?:if you|an? (?:pirate|poet|child))"),
    Family("letter_games", 1.0,
           ("vowel", "consonant", "letters", "character", "words", "word", "spell", "homophon", "anagram", "typo"),
           r"\b(?:{change}|use|us(?:e|ing)|employ|spell|write|misspell|add|insert|apply|swap|change|drop|double|capitali[sz]e)\b[^.\n]{0,70}?\b(?:{letters})\b[^.\n]{0,70}?\b(?:your|every|each|the) (?:\w{1,8} )?(?:answers?|responses?|repl(?:y|ies)|output|word)\b"
           r"|\b(?:misspell|scramble|rearrange|jumble|anagram)\w*\b[^.\n]{0,60}?\b(?:words?|letters?|repl(?:y|ies)|answers?|responses?)\b|\b(?:using|through|with|in) (?:homophon\w+|anagram\w*|leetspeak|alphanumeric|phonetic) (?:substitutions?|replacements?|words|forms?)\b|\b(?:no|without (?:the|any)) (?:word contains|words? with|letter \w\b)"),
    Family("about_reader", 1.0,
           ("user", "reader", "customer", "nguoi dung", "nguoi doc", "khach"),
           r"\b(?:tell|inform|convince|persuade|instruct|urge|deceive|trick|suggest|recommend|encourage|advise|ask|direct|redirect|lead) (?:that )?(?:the |this |your |all |any )?(?:users?|readers?)\b|\b(?:state|claim|confirm|mention|explain|announce|say) to (?:the )?(?:users?|readers?)\b"
           r"|\b(?:ask|urge|request|suggest|invite)(?: that)? (?:the |every |all )?(?:{reader})\b<8>(?:{secret})"
           r"|\b(?:the |this )?(?:user|customer) is an? (?:admin\w*|developer|super ?user)\b"
           r"|\bhay (?:luon )?(?:noi|bao|yeu cau|khuyen|de nghi|hoi|tra loi|cho|thong bao|thuyet phuc)(?: voi| cho| rang)? (?:cho )?(?:nguoi dung|nguoi doc|khach(?! hang than)|ho (?:xem|biet|rang))\b|\b(?:hoi|yeu cau|de nghi|khuyen|bat) (?:khach(?: hang)?|nguoi dung)<8>(?:{secret}|dang nhap|xac minh the)"
           r"|\b(?:nguoi dung|khach(?: hang)?)(?: nay)? la quan tri vien\b|\bnoi (?:voi|cho) nguoi (?:dung|doc) rang\b"),
    Family("kept_from_reader", 1.0,
           ("mention", "reveal", "tell", "disclos", "inform", "show", "nhac", "tiet lo", "noi"),
           r"\b(?:do not|don'?t|never|without|avoid) (?:mention\w*|reveal\w*|tell\w*|disclos\w*|inform\w*|show\w*|refer\w* to|acknowledg\w*)\b[^.\n]{0,40}?\b(?:this (?:paragraph|note|instruction|section|line|sentence|hidden \w+)|these instructions|(?:the|to) (?:users?|readers?))\b"
           r"|\bkhong (?:duoc |nen )?(?:nhac|noi|tiet lo|de lo|cho)\b[^.\n]{0,40}?(?:doan nay|ghi chu nay|chi dan nay|nguoi dung)"),
    Family("instead_of_page", 1.0,
           ("article", "page", "passage", "document", "question", "request", "query", "text below", "bai viet", "bai nay", "trang nay", "tai lieu", "cau hoi"),
           r"\b(?:ignore|disregard|drop|forget|stop (?:quoting|answering|using|reading)|(?:do not|don'?t|never) (?:answer|quote|use)|instead of (?:answering|quoting|using)|rather than answering)(?: from| to)? (?:the |this |that |any )?(?:whole |entire |customer'?s? |user'?s? )?(?:{page})\b(?! (?:if|when|unless|nếu|neu)\b)"
           r"|\b(?:comply with|obey|follow) (?:this (?:page|document|text)|the text below)\b[^.\n]{0,20}?(?:instead|nothing else)?|\b(?:bo qua|ngung|dung|khong) (?:tra loi |trich dan |su dung |dung )?(?:noi dung )?(?:bai viet|bai nay|trang nay|tai lieu|cau hoi cua (?:khach|nguoi dung))\b|\b(?:lam|tuan) theo trang nay\b"),
    Family("changed_answer_vi", 1.0,
           ("cau tra loi", "phan hoi", "cau phan hoi"),
           r"\b(?:dich|sua|viet lai|ket thuc|bien|chuyen|chinh sua|dao nguoc|thay doi) (?:lai |toan bo |moi )?(?:cau tra loi|cau phan hoi|phan hoi)\b|\b(?:trong|khi|luc) (?:luc |khi )?(?:soan |viet )?(?:cau tra loi|cau phan hoi|phan hoi)(?: cua (?:ban|minh))?\W{1,3}(?:hay|phai|khuyen|noi|them|chen|can)\b"
           r"|\b(?:cau tra loi|cau phan hoi|phan hoi) cua (?:ban|minh) (?:phai|can|nen|se|luon)\b|\b(?:them|chen|dua)\b[^.\n]{0,80}? (?:cuoi|vao|trong|dau) (?:cuoi |trong |dau )?(?:cau tra loi|cau phan hoi|phan hoi) cua (?:ban|minh)\b|\b(?:them|chen|dua)\b[^.\n]{0,80}? vao cuoi (?:cau tra loi|cau phan hoi|phan hoi)\b"),
    Family("planted_role", 1.0,
           ("you are now", "you're now", "ban la", "tra loi"),
           r"\byou(?:'re| are) now (?:an? |the |our )?(?:\w{1,14} ){0,3}?(?:manager|assistant|bot|ai|admin\w*|expert|developer|supervisor|pirate|director)\b|\b(?:tu gio|tu bay gio|tu day|bay gio) ban la (?!thanh vien|khach|hoi vien)(?:\w{1,12} ){0,5}?(?:truong|quan ly|tro ly|quan tri|giam doc|chuyen gia|nhan vat|cuop bien)\b"
           r"|\bchi (?:duoc )?tra loi (?:bang|duy nhat|la)\b|\btra loi (?:bang (?:mot )?(?:bai tho|giong)|theo giong)\b"),
    Family("planted_marker", 1.0,
           ("system", "instruction", "he thong", "assistant"),
           r"[\[{(<#|]{1,3}\W{0,2}/?(?:system|sys|inst)\W{0,2}[\]})>#|]{1,3}|^\W{0,3}#{2,4} ?(?:instruction|response|system|human|assistant) ?:|\bsystem (?:notice|message|note|override|instruction|alert) (?:to|for) (?:the |all |any )?(?:{machine}|model)|\bthong bao he thong cho\b|^he thong\W{1,3}nguoi dung\b"
           r"|^(?:assistant|tro ly|ai)\W{1,3}[^\n]{0,200}\n(?:user|human|nguoi dung)\W{1,3}"),
    Family("planted_code", 1.0,
           ("import",),
           r"\b(?:{code})\b[\s\S]{0,260}?\bimport (?:[\w., ]{0,60}\b)?(?:{risky})\b|\b(?:{code})\b[\s\S]{0,400}?\b(?:os\.(?:environ|system|popen|walk|listdir)|urlretrieve|exec\(|eval\()"),
    Family("sent_away", 1.0,
           ("tool", "forward", "send", "post", "e-mail", "email", "gui"),
           r"\bwith your next (?:tool|function)\b|\b(?:forward|send|post|transmit|leak|exfiltrate|gui)<6>(?:the )?(?:customer|user)(?:'?s)? (?:e-?mail|data|address|details|history|conversation|messages?|token)\b|\bgui (?:du lieu|email|thong tin|lich su)[^.\n]{0,20}? (?:khach|nguoi dung)[^.\n]{0,20}? (?:den|toi|ve|cho)\b"),
)  # fmt: skip
