"""The wordings that `injection` and `retrieved` look for, as data. Read over folded text."""

from guards.rules import Family

WORDS = {
    "drop": r"ignor(?:e|ing|es)|disregard(?:ing)?|forget|overrid(?:e|ing)|bypass(?:ing)?|neglect|overlook|discard|set aside|scrap|ditch|throw (?:away|out)|throw|"
    r"pay no attention to|stop (?:following|obeying|using)|(?:do not|don'?t|never|no longer|not) (?:follow|obey|listen to|"
    r"adhere to|comply with|be bound by|abide by)|erase|delete|cancel|abandon|skip|drop|nullify|void",
    "orders": r"instructions?|instrucions|prompts?|rules?|ruleset|guidelines?|directions|directives?|commands?|programming|"
    r"training|constraints?|restrictions?|safeguards|guardrails|safety (?:rules|filters?|protocols?)|protocols?|limitations?",
    "which": r"previous(?:ly)?|prior|above|earlier|preceding|foregoing|initial|original|former|past|existing|current|system|"
    r"your|you(?:'ve| have| were| got| received)|given|these|those|all|any|every",
    "show": r"repeat|print|show|reveal|output|display|tell|give|write|recite|list|summari[sz]e|translate|tl;?dr|leak|share|"
    r"disclose|describe|spell|encode|paraphrase|rephrase|copy|quote|expose|dump|return|state|say|provide|explain|read|"
    r"type|echo|paste|extract|send|reproduce|rewrite|convert|present|expand|clarify|outline|enumerate|restate|what|which",
    "begin": r"begin|start|open|preface|prefix|precede",
    "reply": r"reply|response|answer|message|output|sentence|text",
    "speak": r"say|state|output|print|reply|respond|answer|write|claim|tell|return|mention|conclude",
    "foc": r"bo qua|quen|phot lo|lam ngo|khong (?:can |duoc |phai )?(?:lam |tuan |tuan thu )?theo|dung (?:lam |tuan )?theo|"
    r"khong tuan thu|huy bo|xoa bo|vo hieu hoa|go bo|pha bo|vuot qua",
    "whose": r"(?! (?:i|we|on|of|to|for|in|that|from)\b)",
    "free": r"(?:without|no|free (?:of|from)|not bound by|unbound by|doesn'?t have|does not have|do not have|don'?t have|has no|have no|not (?:be )?(?:limited|restricted|constrained) by|regardless of|remove|lift(?:ed)?|"
    r"disable|turn off|break free (?:of|from)|broken free|circumvent)",
    "mods": r"(?:all |any |the |of |its |typical |usual |ethical |moral |legal |safety |or |and |content |openai'?s? ?|your )*",
    "mine": r"i(?:'ve| have)? (?:just |already |previously )?(?:said|wrote|written|typed|sent|asked|ordered|bought)|(?:order|address|item|parcel|package|e-?mail|mail|invoice|card|booking|payment|request|ticket|"
    r"cart|subscription|appointment|reservation|account|deliver|product|purchase|search|device|number|voucher|charge|plan)(?:e?s|ed|y|ies)?\b",
    "lenh": r"huong dan|chi dan|chi thi|menh lenh|cau lenh|quy tac|luat le|luat|prompt|rang buoc|gioi han|han che|bo loc|lap trinh",
    "cho": r"cho (?:toi|minh|tao|em|anh|t) (?:xem|biet)|in ra|hien thi|tiet lo|doc|lap lai|nhac lai|liet ke|viet lai|dich|"
    r"sao chep|gui|noi|ke|cung cap|xuat|trich|dua|tom tat|la gi|cho xem|in lai|chep lai",
}

FAMILIES = (
    # taking the instructions away
    Family(
        "override", 1.0,
        ("instruc", "prompt", "rule", "guideline", "direct", "command", "programming", "training", "constraint", "restriction", "guard", "safe", "protocol", "limitation"),
        r"\b{drop}<4>{which}\W{1,4}(?:\w{1,14}\W{1,3}){0,3}?{orders}\b(?! (?:in|on|of) the (?:box|manual|label|package|app|site|website))",
    ),
    Family(
        "override_all", 1.0,
        ("above", "before", "so far", "previous", "prior", "told", "said", "written", "learned", "earlier"),
        r"\b{drop}\W{1,4}(?:absolutely |completely |all |please |about )?(?:of )?(?:everything|anything|all|the (?:text|words|content|context|"
        r"information|conversation)|whatever|what(?:ever)? (?:you|we|they|was|has))\b(?:\W{1,4}(?!{mine})\w{1,24}){0,5}?\W{1,4}(?:above|before|(?:previous(?:ly)?|prior|earlier)"
        r"(?!(?:\W{1,4}\w{1,24}){0,2}\W{1,4}{mine})|so far|told|said|written|learned)\b",
    ),
    Family(
        "override_bare", 1.0,
        ("instructions", "prompt"),
        r"(?:^|[.!?:;\"'\n(\[] {0,2}|please |must |now )(?:ignore|disregard|override|bypass) (?:the |all |any |all the )?"
        r"(?:system )?(?:instructions|prompts?)\b",
    ),
    Family(
        "override_say", 1.0,
        ("ignore", "disregard", "forget", "stop", "instead", "do not", "don't"),
        r"\b(?:ignore|disregard|forget|stop|do not|don'?t|instead of)\b[^.\n]{2,90}?[.,;]? (?:and|just|only|instead|but) "
        r"(?:\w{1,12} ){0,2}?{speak} (?:that |only |just )?(?:the (?:output|answer|result|word|sum|summary|following)|[\"'“‘])",
    ),
    Family(
        "new_orders", 1.0,
        ("instruct", "prompt", "rules", "orders", "task", "directive"),
        r"\b(?:(?:follow(?:ing)? (?:these|this|my)|(?:obey|execute) (?:the|these|this|my)|(?:here|these) are (?:the |your |my )?) ?new|new system|updated system|"
        r"new (?:and )?(?:important|secret|real|final|priority)) (?:system )?(?:instructions?|prompt|rules|orders|task|directives?)\b"
        r"|\b(?:your|the|my) new (?:system )?(?:instructions?|prompt|rules|orders|task|directives?)(?:\W{0,3}:| (?:is|are|will be) (?:to\b|as follows|now\b|the following|that\b|[\"']))"
        r"|^\W*new (?:instructions?|prompt|rules|directives?|task)\W{0,2}:",
    ),
    Family(
        "obey_only", 1.0,
        ("what i", "whatever i", "as i", "work for me", "they gave you", "they taught you", "they set"),
        r"\b(?:do|follow|obey|say) (?:only|exactly|just|nothing but) (?:what|whatever|as) i (?:say|tell|type|want|command|order)\b|\bonly (?:do|follow|obey) what(?:ever)? i\b|"
        r"\b(?:policy|rules?|law|truth) (?:is|are) (?:now )?what(?:ever)? i (?:say|type|tell|want|decide)\b|\byou (?:now work for me|work for me now)\b|"
        r"\b{drop}<2>{orders} (?:that )?(?:they|the \w{1,12}) (?:gave|taught|told|set(?: for)?) you\b",
    ),
    Family(
        "other_being", 1.0,
        ("stop being", "quit being", "cease to be", "stop acting as", "become", "turn into", "transform into", "convert"),
        r"\b(?:stop being|quit being|cease to be|stop acting as)(?: an?| the)? (?:\w{1,12} ){0,3}?(?:bot|assistant|chatbot|agent|ai)\b|"
        r"(?<!i )(?<!to )(?<!we )(?<!can )\b(?:become|turn into|transform into|convert (?:yourself )?(?:in)?to) (?:an? |the )?(?:\w{1,12} ){0,3}?(?:ai|chatbot|assistant|language model|bot)\b",
    ),
    # drawing the instructions out
    Family(
        "extract", 1.0,
        ("instruc", "prompt", "ruleset", "directive", "guideline", "configuration", " message", "programming"),
        r"\b{show}<6>(?:(?:your|these|all|any|its|those) (?:\w{1,12} ){0,2}?(?:system|initial|original|hidden|secret|full|entire|exact|"
        r"above|previous|prior|preceding|internal|initiali[sz]ation|additional|base|custom|current|pre) (?:\w{1,12} ){0,1}?"
        r"(?:instructions?|prompts?|directives?|configuration|guidelines)"
        r"|(?:the|this) (?:\w{1,12} ){0,2}?(?:system|initial|hidden|secret|above|previous|prior|preceding|initiali[sz]ation|pre) (?:\w{1,12} ){0,1}?(?:instructions?|prompts?|directives?|guidelines)"
        r"(?! (?:for|of|on|about|from) (?:the|my|this|an?)\b(?! (?:bot|ai|assistant|chat|conversation|system|model)))"
        r"|(?:the|this) (?:\w{1,12} ){0,2}?(?:original|full|entire|exact|internal|additional|base|custom|current) (?:\w{1,12} ){0,1}?(?:prompts?|directives?|instructions (?:that )?you)"
        r"|(?:your|all|the|any|these) (?:\w{1,12} ){0,2}?(?:initial|hidden|secret|initiali[sz]ation|developer) messages?|(?:your|its|all|any) (?:\w{1,12} ){0,2}?system messages?"
        r"|the (?:\w{1,12} ){0,1}?system message(?! (?:\w{1,3} )?(?:\d|on|that|about|i|we|when|from|saying|says|said|mean|in (?:the|my|your) (?:app|mail|account|inbox)))|(?:your|the) (?:system ?prompt|prompt|ruleset|pre-?prompt|directives|programming|instructions(?: so far| above|"
        r" you| verbatim| word| in | exactly| as | until| to you| given)))\b",
    ),
    Family(
        "extract_yours", 1.0,
        ("your instructions", "your prompt", "your rules", "your guidelines", "your directives"),
        r"\b(?:repeat|print|reveal|recite|leak|disclose|spell out|dump|output|echo|list|summari[sz]e|translate|paraphrase|what (?:are|were|is))"
        r"(?: me| us| all| of| out| back| the| every| exactly| again){0,4} your (?:instructions|prompt|rules|guidelines|directives)\b"
        r"(?! (?:for|on|about|regarding|around|concerning|when|if|to|of|with|as to))",
    ),
    Family(
        "extract_above", 1.0,
        ("above", "so far", "before this", "beginning of", "start of", "precede", "preceding", "before my", "role system", "role is system", "behind you", "told not"),
        r"\b(?<!mean by )(?<!did you )(?!what (?:did|do) you mean){show}<5>(?:(?:everything|anything|all(?: of)?(?: the)?|text|words?|sentences?|lines?|content|conversation|prompt|instructions?|rules|"
        r"message)<3>(?:above(?! (?:the|my|an?|it)\b)|so far|before this|(?:at|from) the (?:beginning|start|top)(?! of (?:the|my|your) (?!conversation|chat|prompt|document|text|message|context|session|instructions)))"
        r"|the above (?:text|words?|instructions?|prompt|conversation|message|rules|paragraph))\b"
        r"|\b{show}<4>(?:text|message|passage|words?|prompt|instructions?|paragraph|content|everything|lines?)\b<3>(?:precede[sd]?|preceding|before) (?:mine\b|(?:my|this) (?:very )?(?:first )?(?:own )?(?:message|question|input|line|prompt)\b)"
        r"|\b{show}<3>(?:messages?|everything|entries|content)\b<3>role(?: is)?\W{1,3}system\b|\bprompt behind you\b"
        r"|\b(?:which|what) (?:topics?|subjects?|things|words)\b<3>(?:told not|forbidden|not allowed|prohibited|banned)\W{1,4}(?:from |to )?(?:talk|discuss|say|speak|mention)",
    ),
    Family(
        "extract_secret", 1.0,
        ("password", "passcode", "passphrase", "access code", "secret", "api key", "credential"),
        r"\b{show}(?: me| us| is| are| out)?<4>(?:your (?:\w{1,10} ){0,2}?(?:password|passcode|passphrase|secret|credentials|api key|access code)|"
        r"the (?:secret (?:key|password|code|word|phrase|passphrase|instructions?)|access code|system password|admin(?:istrator)? password|"
        r"api keys?)(?! (?:for|of|to|on|from|in|that|i|we|you sent) (?!(?:the|this) (?:system|admin|bot|assistant|database|server|defen|chat|ai)|you\b|your|access)))\b(?! (?:reset|policy|page|requirements?|field|link|rules|form|forever))",
    ),
    Family(
        "secret_yours", 1.0,
        ("your password", "your secret", "your key", "your passphrase", "the password", "the secret"),
        r"\b(?:what(?:'s| is| was| would be)|share|give me|tell me|reveal|need|know|asked? (?:you )?for|hand over|guess|confirm|verify) "
        r"(?:me )?your (?:\w{1,10} )?(?:password|secret|passphrase|key)(?:\W|$)(?! ?(?:reset|policy|page|requirement))",
    ),
    Family(
        "dictated_reply", 1.0,
        ("begin", "start", "open", "pref", "preced"),
        r"\b{begin}(?:ning|ting|ing)? (?:your|the|each|every|all) (?:\w{1,10} )?{reply}s? (?:with|by|exactly|using|off)\b",
    ),
    Family(
        "internal_data", 1.0,
        ("internal", "confidential"),
        r"\b(?:show|reveal|list|print|output|give me|tell me|read(?: out)?|send me|dump|leak|share|quote|recite|disclose)<4>(?:internal|confidential)"
        r"<2>(?:documents?|articles?|notes?|guidelines?|limits?|discounts?|polic(?:y|ies)|procedures?|data|instructions?|rules|emails?|"
        r"records|knowledge|manual|information|credits?|prices?)\b",
    ),
    # another role
    Family(
        "you_are_now", 1.0,
        ("you are", "you're", "you will", "you must", "you shall", "act as", "you "),
        r"\b(?:you(?:'re| are) now (?:an? |the |my |in |going|free|no longer|called|acting|playing)|from (?:now on|this (?:point|moment)(?: on| forward)?|here on)\W{1,3}"
        r"(?:you(?:'re| are| act| answer| respond| obey| speak| ignore| only| have no| (?:will|must|shall|should|can|may) (?:only |always |never |not |now )?(?:act|be\b|answer|respond|reply|speak|obey|ignore|play|pretend|follow|become|behave|"
        r"do\b|write|say|tell|approve|grant|accept|always|never|only|refuse|forget))|act as|act like|ignore|answer (?:as|all|every|like|any|in the)|respond (?:as|with|only|like|to all|to every)|your (?:name|role|task|job|rules|answers?|repl|responses?|instructions|purpose|goal)|"
        r"every (?:answer|reply|response|message|question|sentence)|all (?:your|answers|replies|responses|requests|rules))|(?:you will|you shall|you'll|you are going to|you must|you should) (?:now )?(?:act (?:as\b|like (?!this|that|it|you|nothing)|out)|behave (?:as|like)|pretend|respond (?:as|like|only|with (?!in\b)|in (?!time|\d)|to (?:all|every|each|any|me as)|the way)|roleplay|play (?:the|an?|as|along)|pose|simulate|impersonate|become|be called)\b)",
    ),
    Family(
        "role", 1.0,
        ("act as", "acting as", "pretend", "role", "simulate", "imperson", "behave", "character", "act like", "persona"),
        r"(?:(?:^|[.!?:;,\"'\n(\[] {0,2}|you to |please |must |should |will |now |and |can you |could you )(?:act as|act like|acting as|pretend (?:to be|that you|you)|"
        r"(?:play|take on|assume|adopt) the (?:role|persona|part|character) of|role-?play(?:ing)? (?:as|with)|simulate|impersonate|behave (?:as|like)) "
        r"(?!if (?:it|there)|(?:if )?(?:you )?cared?\b|(?:a )?(?:parcel|order))(?:an? |the |my |if |you|me |\w)|stay in character|break(?:ing)? character|in character as)",
    ),
    Family(
        "jailbreak", 1.0,
        ("dan", "do anything now", "jailb", "developer mode", "god mode", "sudo mode", "uncensored", "unfiltered", "amoral", "machiavellian", "dev mode", "unrestricted", "debug mode", "admin mode", "root mode", "maintenance mode", "opposite mode", "evil"),
        r"\b(?:do anything now|jail-?break(?:ed|ing)?|(?:god|sudo|opposite|evil|unrestricted|jailbreak) mode|(?:developer|dev|debug) mode (?:output|response|policy|enabled|activated)|chatgpt (?:with|in) (?:developer|dev|debug) mode|"
        r"(?:act as|be|are|called|named|like|as|hi|hello|hey) \W?d\.?a\.?n\b|dan (?:mode|can|is|does|will)|amoral|machiavellian|"
        r"(?:an? |completely |fully )(?:uncensored|unfiltered|unrestricted) (?:\w+ )?(?:ai|bot|chatbot|assistant|model|response|answer|version))"
        r"|(?:^|[.!?:;,\"'\n(\[] {0,2}|please |now |must |you are |you're |you |and |then )(?:enter|enable|activate|engage|switch (?:in)?to|go into|turn on|run in|in|boot into|start)(?: the| your| into)? "
        r"(?:developer|dev|debug|admin|root|maintenance) mode\b(?! (?:on|of|in|for|from|at|when|if|while|by)\b(?! (?:this|the|our) (?:chat|conversation|session|bot|assistant|ai|system)))",
    ),
    Family(
        "unbound", 1.0,
        ("restriction", "filter", "limit", "censor", "guideline", "polic", "ethic", "moral", "rules", "content", "bound", "constraint", "guardrail", "safety"),
        r"\b(?:{free} {mods}(?:censorship|ethical (?:guidelines|constraints|boundaries|concerns)|moral(?:s|ity| constraints| guidelines)|"
        r"content (?:polic(?:y|ies)|restrictions|moderation|filters?)|ethics|safety (?:filters?|measures|guidelines|rules)|guardrails)"
        r"|{free} {mods}your {mods}(?:restrictions|filters?|limitations)|(?:not bound by|unbound by|not (?:be )?(?:limited|restricted|constrained) by|break free (?:of|from)|broken free(?: of| from)?) {mods}(?:restrictions|filters?|limitations)"
        r"|(?:answer|respond|reply|act|speak|talk|behave|operate|generate|write|think|ai|bot|chatbot|assistant|model|gpt|persona|character|entity|you(?: now)?|you are|being)<4>{free} {mods}(?:restrictions|filters?|limitations))\b"
        r"(?! (?:on|for|to|from|of|in|about|when|with|at) (?:my|the|this|our|returns?|orders?|deliver\w*|shipping|quantity|number|account|\w{1,14}\?))",
    ),
    Family(
        "other_machine", 0.6,
        ("chatgpt", "gpt", "openai", "language model", " ai ", "chatbot", "an ai"),
        r"\b(?:chat ?gpt|gpt-?\d|openai|(?:large )?language model|as an ai\b|an? ai (?:model|assistant|language|system|chatbot|bot|that|who|with|named|called)|the ai\b)",
    ),
    Family(
        "persona", 0.5,
        ("you are", "you're", "your name", "your role", "your task", "your job", "your purpose", "your character", "i want you to", "want you"),
        r"\b(?:you(?:'re| are) (?:going to |a |an |my |the |called |named )|your (?:name|role|task|job|purpose|goal|mission|character|persona) (?:is|will be|:)|"
        r"i want you to|i need you to|i would like you to|you will be)\b",
    ),
    Family(
        "dictation", 0.5,
        ("respond", "reply", "answer", "output", "always", "never", "refuse", "stay", "prompt", "write a", "roleplay", "fiction", "hypothetical"),
        r"\b(?:(?:you )?(?:always|never|only|must|will|should|cannot|can'?t|do not|don'?t) (?:\w{1,10} )?(?:respond|reply|answer|refuse|say|write explanations|break|output|apologi[sz]e|decline|mention)|"
        r"respond (?:only )?(?:as|with|in|to)|(?:my|the|your) (?:first|next) (?:prompt|command|sentence|request|question|suggestion|task|message)\b|the user|"
        r"the following format|hypothetical(?:ly)? (?:response|scenario|story|situation)|fictional)",
    ),
    Family(
        "mode", 0.6,
        ("mode", "simulat", "virtual machine", "terminal", "console"),
        r"\b(?:enter|enable|activate|switch to|engage|enabled|in|into) (?:\w{1,14} ){1,2}mode\b|\bvirtual machine\b|\b(?:linux )?terminal\b|\bsimulat(?:or|ion|e)\b",
    ),
    # forged markers
    Family(
        "marker", 1.0,
        ("<|", "[inst", "<<sys", "###", "</", "<system", "<instruct", "<prompt", "[system", "[/", "begin", "end of", "{{", "--"),
        r"<\|[\w/ ]{1,24}\|>|\[/?inst\]|<</?sys>>|</?(?:system|instructions?|prompt|assistant|sys|im_start|im_end|admin)>|\[/?system\]|"
        r"#{2,4} ?(?:system|instructions?|assistant|human|user|response|new (?:instructions?|task))\b ?:?|"
        r"[-=*_ ]{3,}(?:end|begin|start)(?: of)?(?: the)? (?:\w{1,12} )?(?:prompt|instructions?|document|system|context|rules|input)\b|"
        r"\b(?:end of|begin) (?:system|initial) (?:prompt|instructions?|message)\b",
    ),
    Family(
        "forged_turn", 1.0,
        ("system", "assistant", "developer", "admin"),
        r"^\W{0,3}(?:system|assistant|developer|admin(?:istrator)?)(?: message| override| prompt| note| update| command)?\W{0,2}:\W{0,3}(?:\w{1,14}\W{1,3}){0,6}?"
        r"(?:you|ignore|new|override|must|do not|reveal|act|respond|answer|approve|grant|always|disregard|forget|print|user|refund)\b"
        r"|\bsystem (?:override|prompt)\b ?[:!]",
    ),
    # authority and rules of the assistant
    Family(
        "authority", 1.0,
        ("your developer", "your creator", "your maintainer", "your admin", "your owner", "your programmer", "a god", "openai", "of this system", "your system"),
        r"\b(?:i am|i'?m|this is|speaking as|as) (?:now )?(?:the |your |one of your |a |an |with )?(?:\w{1,12} )?(?:developers?|creators?|maintainers?|programmers?|engineers?|system administrator|"
        r"administrators?|admins?|owners?) (?:of|for|behind) (?:this|the|your) (?:system|bot|assistant|ai|chatbot|model)\b|"
        r"\bi(?: am|'m) (?:your (?:\w{1,10} )?(?:developer|creator|maintainer|programmer|administrator|admin|master|god)|a god)\b|"
        r"\b(?:i work (?:at|for)|i'?m from|i am from|on behalf of) openai\b",
    ),
    Family(
        "rules_off", 1.0,
        ("rules", "guidelines", "restrictions", "filter", "safety", "instructions", "moderation", "guard", "constraints", "limits"),
        r"\byour (?:\w{1,10} )?(?:rules|guidelines|restrictions|filters?|safety \w{1,12}|instructions|moderation|guardrails|constraints|limits) (?:are|is|have been|has been|no longer|do not|don'?t|does not) "
        r"(?:now |all |hereby )?(?:lifted|disabled|suspended|off|removed|void|invalid|gone|apply|revoked|cancel+ed|overridden)\b"
        r"|\b(?:the|all|these) (?:\w{1,10} )?(?:rules|guidelines|restrictions|safety (?:rules|filters|guidelines|protocols)|instructions|moderation|guardrails|constraints) (?:are|is|have been|has been|were) "
        r"(?:now |all |hereby )?(?:lifted|disabled|suspended|void|invalid|revoked|overridden|removed)\b(?! (?:on|from|for|in) )"
        r"|\b(?:consider|treat|assume) (?:(?:all|your|any|every|the) )+(?:\w{1,10} )?(?:constraints|rules|limits|restrictions|guidelines|policies|filters|instructions)(?: as)?(?: are)? (?:removed|lifted|void|gone|off|cancel+ed|suspended)\b"
        r"|\b(?:disable|turn off|deactivate|switch off|remove) (?:all |any |the )*your (?:\w{1,10} )?(?:safety|filters?|guards?|guardrails|moderation|restrictions|rules)\b"
        r"|\b(?:disable|turn off|deactivate|switch off|remove) (?:all |any |the )+(?:(?:content|safety|ethical|moral|moderation) (?:filters?|filtering|guidelines|rules|protocols|restrictions|checks|measures|settings)|guardrails|moderation)\b(?! (?:on|of|in) my\b)"
        r"|\b(?:disable|turn off|deactivate|switch off|remove) (?:all |any )(?:of )?(?:the )?(?:safety|filters?|restrictions|rules)\b(?! (?:on|of|in|for|from|lock|catch|switch|\w{1,12}) ?(?:my|the|this|our|search)?)",
    ),
    Family(
        "must_obey", 1.0,
        ("refuse", "comply", "obey", "not allowed to", "cannot say", "decline"),
        r"\b(?:you (?:must|have to|will|shall|are (?:required|obliged|forced) to|should|can) (?:\w{1,10} )?(?:(?:obey|comply)(?! (?:with )?(?:the |consumer|your|our|eu\b|all (?:the |applicable )?(?:laws?|regulations?)|gdpr|data|applicable|local|vietnamese|my (?:rights|consumer)))|never refuse|not refuse)|"
        r"(?:never|cannot|can'?t|must not|don'?t|not) (?:ever )?(?:refuse|decline) (?:to answer|to (?:respond|comply)|any(?: \w{1,10})? (?:requests?|questions?|commands?|prompts?)|anything|requests?(?: from)?|any\b|a (?:request|question|command|prompt)|the (?:request|user)|my (?:commands?|prompts?|questions?))|obey (?:me|my|all|every|the user))\b",
    ),
    # orders inside pasted or encoded text
    Family(
        "decode", 1.0,
        ("decode", "base64", "rot13", "decrypt", "decipher", "giai ma"),
        r"\b(?:decode|decrypt|decipher|unscramble|giai ma)\b[^\n]{0,60}?\b(?:and (?:then )?(?:do|follow|execute|obey|answer|run|perform|act|comply|carry|reply|respond)|(?:va|roi) (?:lam|thuc hien|tra loi|tuan))\b|"
        r"\b(?:do|follow|execute|obey|perform)\b[^\n]{0,40}?\b(?:encoded|base64|rot13|decoded)\b",
    ),
    Family(
        "planted", 1.0,
        ("summar", "response", "answer", "output", "sentence", "conclusion", "question", "asked", "say", "state", "print", "reply"),
        r"\b(?:(?:end|finish|conclude) (?:your|the|every|each|all) (?:\w{1,10} )?{reply}s? (?:with|by)|(?:when|if) (?:(?:you|you're|you are) (?:asked|summari[sz]ing|answering|translating)|asked (?:to|about|by (?:the user|any))|summari[sz]ing|translating)\b[^.\n]{0,60}\b(?<!the )(?<!my )(?<!our )(?<!a ){speak}\b|"
        r"{speak} (?:only |just |exactly |nothing but )(?:with )?(?:the )?(?:words?|phrase|following|number{whose}|sentence|[\"'“])|"
        r"(?:only|just|simply|always) {speak} (?:with )?(?:the )?(?:words?|phrase|following|number{whose}|[\"'“])|"
        r"(?:to|for) (?:the )?(?:ai|assistant|language model|chatbot|llm)s?(?: reading| that reads| processing)|note to (?:the )?(?:ai|assistant|chatbot|llm))",
    ),
    Family(
        "exfiltrate", 1.0,
        ("http", "www", "image", "markdown", "@", "webhook", "url", "link"),
        r"\b(?:send|post|forward|upload|transmit|append|embed|encode|include|put)<5>(?:conversation|chat(?: history| log)?|history|customers?'? (?:data|details|list)|user data|system prompt|your instructions|secrets?|credentials|"
        r"api keys?|passwords?)\b(?! (?:to (?:me|my|our)|by (?:e-?)?mail)\b)[^\n]{0,60}?(?:https?:|www\.|\burl\b|webhook|image|markdown|\blink\b|@)",
    ),
    Family(
        "others_data", 1.0,
        ("all customer", "all user", "other customer", "every customer", "other user", "all the customer", "khach", "previous customer", "last customer", "previous user", "last user", "another customer", "who else"),
        r"\b(?:show|list|give|print|export|dump|send|reveal|tell|display|cho (?:toi|minh|em|anh) (?:xem|biet)|liet ke|gui|in ra)<4>(?:all|other|every|tat ca)<1>(?:customers?'?|users?'?|khach(?: hang)?(?: khac)?)<2>"
        r"(?:data|details?|e-?mails?|addresses|names|phones?|numbers?|orders?|accounts?|records|information|du lieu|thong tin|don hang|so dien thoai)\b(?! (?:in|of|on|for|under) (?:my|our)\b)"
        r"|\b(?:(?:previous|last|other|another) (?:customers?|users?)(?! (?:service|support|care))|who else)<2>(?:ask|said|say|tell|told|wr[io]te|chat|talk)\w*<2>(?:you\b|today|before me)"
        r"|\b(?:so dien thoai|sdt|e-?mail|dia chi|thong tin|du lieu|don hang|lich su)(?: \w{1,8}){0,3} (?:khach(?: hang)? (?:khac|truoc)|(?:tat ca|moi|toan bo)(?: cac)? khach(?: hang)?)\b",
    ),
    # Vietnamese
    Family(
        "vi_override", 1.0,
        ("huong dan", "chi dan", "chi thi", "lenh", "quy tac", "luat", "prompt", "rang buoc", "gioi han", "han che", "bo loc", "lap trinh", "noi quy", "quy dinh", "vai tro", "tu choi", "pha "),
        r"\b{foc}<4>(?:{lenh})(?:(?:<5>)(?:he thong|cua ban|ban dau|hien tai|da (?:cho|duoc|dua|nhan)|noi bo|an toan)|<1>(?:truoc(?: do| day)?|(?:o |ben |phia )?tren))\b(?! (?:khi|duoc khong|co duoc))"
        r"|\b{foc} (?:tat ca|moi|toan bo|het)(?: cac| nhung| cai)? (?:{lenh})\b"
        r"|\b(?:vut (?:bo|het|di)|mac ke|(?:khong (?:con )?(?:can|phai)(?: phai)?|dung) tuan (?:thu|theo))<3>(?:quy tac|luat le|luat|noi quy|menh lenh|chi thi|rang buoc|cong ty|prompt|(?:huong dan|chi dan) (?:cua ban|he thong|nao))\b"
        r"|\bcoi nhu(?: ban)? (?:chua(?: tung)?|khong)(?: he)? (?:nhan|co|duoc|biet)<3>(?:{lenh})\b"
        r"|\b(?:{lenh}|noi quy|quy dinh)<3>(?:cua ban|truoc (?:day|do)|(?:o |ben |phia )tren)\W{1,3}(?:da |deu |hien |gio |bay gio ){0,2}(?:het hieu luc|khong con hieu luc|bi huy|vo hieu|chi la (?:thu nghiem|test|vi du))\b(?! (?:roi )?(?:chua|khong|a|ha|phai)\b| ?\?)"
        r"|\bhuong dan that(?: su)? (?:la|o day|nhu sau|day)\b|\bbo (?:het|di)(?: di)?<2>(?:rang buoc|quy tac|luat le|chi dan|menh lenh|bo loc)\b|\b{foc}<1>vai tro(?: \w{1,6})? (?:tro ly|cua ban|chatbot|nhan vien)\b"
        r"|\bkhong duoc tu choi (?:bat (?:cu|ky|ki)|moi) (?:yeu cau|lenh|menh lenh|cau hoi)\b|\bpha (?:luat|quy tac|rao)(?: di)? (?:mot lan|giup|cho)\b",
    ),
    Family(
        "vi_override_all", 1.0,
        ("truoc", "tren", "nhung gi", "cong ty", "nghe", "loi toi", "loi cua toi", "lenh cua toi"),
        r"\b{foc} (?:di )?(?:tat ca|moi|het|toan bo|nhung)(?:\W{1,4}(?!(?:toi|em|minh|anh|chi) (?:da |vua |moi )?(?:noi|viet|gui|dat|hoi|nhan|mua)|don|dia chi|san pham|gio hang|e-?mail|lich|hen|the\b|yeu cau)\w{1,24}){0,4}?\W{1,4}(?:o tren|truoc do|ben tren|phia tren|tu truoc|da noi|da duoc day)\b"
        r"|\b(?:quen|bo qua|xoa)(?: het| di| sach)?(?: tat ca| moi)? (?:nhung gi|dieu|thu)(?: (?:ban|may|da|tung))* (?:duoc|bi) (?:day|hoc|dan|bao|lap trinh|huan luyen|dao tao|cai dat)\b"
        r"|\bdung (?:nghe|lam|tuan)(?: theo)?(?: \w{1,6}){0,3} (?:cong ty(?! (?:van chuyen|giao|ship))|nguoi tao|nha phat trien|lap trinh vien)\b"
        r"|\bchi (?:duoc |can |phai )?(?:nghe|lam|tuan)(?: theo)? (?:loi|lenh|menh lenh)(?: cua)? (?:toi|tao|minh)\b|\btu (?:bay )?(?:gio|nay)<3>lam theo (?:loi )?(?:toi|tao)\b",
    ),
    Family(
        "vi_extract", 1.0,
        ("prompt", "he thong", "noi bo", "cua ban", "ban dau", "mat khau", "bi mat", "loi nhac", "cho ban", "ban nhan", "ban duoc", "ban da duoc", "ban phai", "system message", "cau nay", "tin nhan nay", "dau tien", "doan nay"),
        r"\b{cho}<6>(?:system (?:prompt|message)|prompt|(?:{lenh}|cau hinh|quy dinh|chinh sach|noi dung)<2>(?:he thong|cua ban|noi bo|ban dau|bi mat|goc)|"
        r"(?:mat khau|khoa|ma)<1>(?:cua ban|he thong|quan tri|bi mat)|(?:tai lieu|bai viet|han muc|thong tin|danh sach|bang|ma|gia|chiet khau|den bu|boi thuong)<4>noi bo(?! (?:toa|chung cu|khu|truong|benh vien|cong ty (?:em|toi|minh|anh))))\b"
        r"|\b(?:system prompt|prompt he thong|(?:huong dan|chi thi|mat khau|quy tac)(?: \w{1,6})? cua ban|(?:loi nhac|tin nhan|thong diep)(?: he thong| ban dau)? cua ban) (?:la gi|gom|viet gi|noi gi|nhu the nao|co gi)"
        r"|\b{cho}<5>(?:loi nhac|tin nhan|thong diep)(?: cua)? (?:he thong|ban dau|goc)\b(?! (?:bao|gui|da gui|thanh toan|luc|hom|cua (?:app|ung dung|may|shop)))"
        r"|\b(?:tiet lo|lo ra|in ra|in lai|chep lai)<4>loi nhac\b|\b(?:{lenh})<1>(?:bi mat|tuyet mat|ngam)\b|\b{cho}<3>tai lieu (?:bi mat|tuyet mat|mat cua)\b|\b{cho}<3>(?:{lenh})<5>(?:viet|soan|dat ra) cho ban\b|\b{cho}<4>(?:{lenh})<2>ban (?:da |dang |phai )?(?:nhan|duoc (?:cho|dua|cap|giao)|tuan)\b"
        r"|\bban (?:da )?(?:duoc|bi)(?: cong ty| ho| nguoi ta| admin)? (?:dan(?: do)?|lap trinh|huan luyen|cai dat|ra lenh)<3>(?:nhung (?:gi|chi dan|quy tac)|gi\b(?! len)|the nao|nguyen van|truoc cuoc)"
        r"|\b(?:nguoi|nha|ke|ai|cong ty)(?: \w{1,6}){0,2} (?:tao ra|lap trinh|phat trien)(?: ra)?(?: ban)? (?:da )?(?:viet|noi|dan|ra lenh) gi\b"
        r"|\b{cho}<6>(?:o |ben |phia )*tren (?:cau|tin nhan|dong|doan)(?: \w{1,5})? nay\b|\b(?:doan|van ban|noi dung|moi thu|tat ca)<3>truoc (?:tin nhan|cau hoi|cau) (?:dau tien|nay|cua toi)\b|\btin nhan dau tien<2>he thong\b",
    ),
    Family(
        "vi_role", 1.0,
        ("dong vai", "vao vai", "nhap vai", "gia vo", "gia su ban", "gia dinh ban", "hay la", "ban la", "tu gio", "tu bay gio", "bay gio ban", "tu nay", "ban khong con"),
        r"\b(?:(?:hay |ban |gio |se |muon ban )(?:dong vai|vao vai|nhap vai)|(?:dong|vao|nhap) vai (?:la |mot |lam |thanh |cua |nhu |nhan|chuyen|quan|hacker|ai)|gia vo (?:ban|nhu ban|rang ban|la|lam)|(?:gia su|gia dinh|tuong tuong) (?:rang )?ban (?:la (?!toi\b|minh\b|em\b|anh\b|chi\b|khach|nguoi mua)|khong (?:co |bi |phai |con )(?:gioi han|luat|quy|kiem|rang|la\b|bi)|co the (?:noi|lam|tra loi) (?:moi|bat))|"
        r"(?:ke )?tu (?:bay )?(?:gio|nay)(?: tro di)?\W{1,3}(?:(?:ban|may) (?:la(?! (?:nguoi|nhan vien) giao)|se (?:la|lam|tra loi|dong|khong con)|phai (?:lam|tra loi|nghe|tuan)|chi (?:duoc |can |phai )?(?:nghe|lam|tra loi|tuan|noi)|tra loi|lam theo|nghe (?:loi|lenh|theo)|dong vai|hoat dong)|"
        r"ban (?:ten|khong (?:con|can|phai|bi|duoc tu choi)|duoc (?:phep|tu do)|hay|co the (?:noi|lam|tra loi) (?:moi|bat))|ten (?:cua )?(?:ban|may)|hay (?:tra loi|lam theo|nghe|la|dong|noi|quen|bo qua|coi|xem|dung)|moi (?:cau tra loi|lenh|yeu cau cua toi))|"
        r"bay gio ban (?:la|se la|hay|khong)(?![^.?!\n]{0,40} (?:ha|a|sao|phai khong|dung khong|chu|nhi)\W{0,2}\?)|ban khong con la)\b",
    ),
    Family(
        "vi_mode", 1.0,
        ("che do", "khong gioi han", "khong bi", "kiem duyet", "bo loc", "khong co", "khong theo"),
        r"\bche do (?:nha phat trien|developer|admin|quan tri|khong gioi han|go loi|bao tri|toi cao|dan)\b|\bkhong (?:con |bi |co |chiu )?(?:bat ky |su )?(?:gioi han|kiem duyet|rang buoc|bo loc|han che) (?:nao(?! (?:ve|voi|doi|cho|khi|trong|khong|chu|a|ha|sao|phai|dung|nhe)\b| ?\?)|dao duc|noi dung|an toan)\b"
        r"|\b(?:ten (?:cua )?(?:ban|may) la|(?:ban|may) ten(?: la)?) [^.\n]{1,30}? khong (?:co |theo |bi |can )?(?:bat ky )?(?:luat|quy tac|gioi han|rang buoc)"
        r"|\b(?:toi|tao) la (?:nguoi|nha|lap trinh vien|ky su|quan tri vien|admin)<3>(?:tao ra|phat trien|lap trinh|quan tri)<2>(?:ban|he thong|chatbot)\b",
    ),
    # other languages: taking the instructions away
    Family(
        "override_romance", 1.0,
        ("instru", "orden", "indica", "consign", "regl", "istruz", "diret", "ordin"),
        r"\b(?:ignor(?:a|e|ar|ez|er|ate|i|ad|en)|olvid(?:a|e|ar|ate|ad)|oubli(?:e|ez|er)|esque[cs]a|esquec(?:e|er)|dimentica(?:re|te)?|desconsider(?:a|e)|haz caso omiso|no sigas|ne (?:suis|tiens|tenez)|non (?:seguire|tener)|trascura(?:re)?|descarta)"
        r"(?: \S{1,14}){0,5}? (?:instruc\w{1,10}|instrucoes|istruzion\w|instrucciones|ordenes|ordens|ordres|ordini|indicaciones|consignes|regles|reglas|regras|regole|directives|diretrizes)",
    ),
    Family(
        "override_germanic", 1.0,
        ("anweis", "befehl", "instruct", "anleit", "regeln", "vorgaben", "instrukt", "opdracht"),
        r"\b(?:ignorier\w{0,4}|vergiss|vergessen|missachte\w{0,2}|negeer|vergeet|ignorera|glom|glem|ignorer|befolge\w{0,2} (?:nicht|keine))(?: \S{1,14}){0,5}? (?:anweisung\w{0,3}|befehl\w{0,2}|instru[ck]t\w{1,8}|anleitung\w{0,3}|regeln|vorgaben|opdracht\w{0,3})",
    ),
    Family(
        "override_slavic", 1.0,
        ("инструк", "указан", "команд", "правил", "вказ", "інструк", "polecen", "instrukc", "pokyn", "приказ", "сказан", "упутств", "uputst"),
        r"(?:игнориру\w{1,5}|проигнориру\w{1,5}|забуд\w{1,3}|не обращай внимани\w|не следуй|відкин\w{1,3}|ігноруй\w{0,3}|забудь\w{0,3}|zignoruj|ignoruj\w{0,3}|zapomnij|pomin|ignorujte|zapomen\w{1,3}|ignoris\w{1,4}|zaboravi\w{0,3})"
        r"(?: \S{1,16}){0,6}? (?:инструкц\w{1,4}|указан\w{1,4}|команд\w{0,4}|правил\w{0,3}|вказів\w{1,4}|інструкц\w{1,4}|приказ\w{0,4}|сказан\w{1,4}|polecen\w{1,3}|instrukc\w{1,3}|pokyn\w{1,3}|uputst\w{1,3})",
    ),
    Family(
        "override_cjk", 1.0,
        ("忽略", "无视", "無視", "忘记", "忘掉", "忽視", "不要理会", "忘れ", "무시", "잊어"),
        r"(?:忽略|无视|無視|忘记|忘掉|忽視|不要理会|不要遵守).{0,20}(?:指令|指示|说明|提示|规则|內容|内容|命令|要求|告诉)|(?:指示|命令|指令|ルール|説明|内容|こと).{0,8}(?:を|は)?.{0,4}(?:無視|忘れ)|(?:지시|명령|지침|규칙|내용|말).{0,10}(?:무시|잊)",
    ),
    Family(
        "override_asian", 1.0,
        ("निर्देश", "नर", "নির্দেশ", "উপেক্ষা", "talimat", "instruksi", "perintah", "تعليم", "अनदेखा", "উপেক", "อดีต", "คำสั่ง", "দেওয়া"),
        r"(?:निर्देश|अनुदेश|कहा गया).{0,40}(?:अनदेखा|नज़रअंदाज|नजरअंदाज|उपेक्षा|भूल)|(?:अनदेखा|नज़रअंदाज|उपेक्षा|भूल).{0,40}(?:निर्देश|अनुदेश)|(?:নির্দেশ|বলা হয়েছে).{0,40}(?:উপেক্ষা|ভুলে)|(?:উপেক্ষা|ভুলে).{0,40}(?:নির্দেশ|বলা হয়েছে)|"
        r"talimat\w{0,8} (?:\S{1,12} ){0,3}?(?:yoksay|unut|gormezden|dikkate alma|goz ardi)|(?:abaikan|lupakan|hiraukan)(?: \S{1,14}){0,4}? (?:instruksi|perintah|petunjuk|arahan)|(?:تجاهل|انس).{0,20}(?:تعليمات|أوامر|التعليمات)|(?:เพิกเฉย|ละเว้น|ลืม).{0,20}คำสั่ง",
    ),
    Family(
        "secret_other", 1.0,
        ("passwor", "contrasen", "clave", "senha", "mot de passe", "passe", "mật", "парол", "密码", "パスワード", "비밀번호", "पासवर्ड", "পাসওয়ার্ড", "kata sandi", "parola", "sifre", "चाबी", "চাবি"),
        r"\b(?:dein|ihr|deines|ihres)\w{0,2} (?:\w{1,12} )?passwort|\bpasswort (?:verraten|teilen|mitteilen)|\b(?:tu|tus|su) (?:contrasena|clave (?:secreta|de acceso))|\b(?:sua|tua) (?:senha|palavra-passe|chave secreta)|\b(?:ton|votre) (?:mot de passe|cle secrete)|\b(?:la tua|tua|sua) (?:password|parola d'ordine|chiave segreta)|"
        r"(?:твой|ваш|твоего|вашего|свой|своим|своего|поделит\w{1,4}|делит\w{1,4}) ?\w{0,10} ?парол|какой у (?:вас|тебя) парол|(?:твій|ваш|свій) ?\w{0,10} ?парол|(?:你的|您的|你们的).{0,6}(?:密码|密钥)|あなたの.{0,6}(?:パスワード|秘密)|(?:당신의|너의|네).{0,6}(?:비밀번호|암호|비밀)|(?:आपका|आपके|अपना|तुम्हारा|आपकी|अपनी).{0,14}(?:पासवर्ड|चाबी|कुंजी)|(?:আপনার|তোমার).{0,14}(?:পাসওয়ার্ড|চাবি)|kata sandi (?:anda|kamu|mu)|(?:parola|sifre)(?:niz|n|nizi|ni)\b",
    ),
)  # fmt: skip
