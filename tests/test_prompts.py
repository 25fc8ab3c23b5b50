"""The library of prompts and the fixed replies."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import DeskError, UsageError
from domain.profile import Contact, DeskProfile, Localised, Texts
from domain.turn import Language, Reason
from prompts import DONT_KNOW, PromptLibrary, Replies

FILE = """\
name: {name}
version: {version}
author: a
note: n
variables: [who]
messages:
  - role: system
    text: Say "{{{{dont_know}}}}" in <who>.
  - role: user
    text: "{text}"
"""
SMALL_TALK = ("greeting", "thanks", "bye", "robot", "how_are_you", "compliment", "acknowledgement")
OFFER = ("offer", "declined")


def library(folder: Path, text: str = "Hello {{ who }}!", name: str = "hello", version: int = 1) -> PromptLibrary:
    (folder / f"{name}{version}.yaml").write_text(FILE.format(name=name, version=version, text=text))
    return PromptLibrary.load(folder)


def profile(**changes: object) -> DeskProfile:
    return DeskProfile.model_validate({"name": "Tide & Timber", "scope": {"describe": "boats"}} | changes)


def test_a_prompt_takes_its_variables_and_no_others(tmp_path: Path) -> None:
    prompt = library(tmp_path).get("hello")
    assert [(line.role, line.text) for line in prompt.render(who="Lan")] == [
        ("system", f'Say "{DONT_KNOW}" in <who>.'),
        ("user", "Hello Lan!"),
    ]
    with pytest.raises(UsageError, match=r"hello@1: variable who is missing"):
        prompt.render()
    with pytest.raises(UsageError, match=r"variable whom is unknown"):
        prompt.render(who="Lan", whom="Mai")


@settings(max_examples=60, deadline=None)
@given(value=st.text() | st.sampled_from(["{{who}}", "{{ dont_know }}", "{x}", "{% if %}", "\\1", "}}{{", "<EMAIL_1>"]))
def test_a_value_is_taken_literally(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    prompt = library(tmp_path_factory.mktemp("library"), text="[{{who}}][{{who}}]").get("hello")
    assert prompt.render(who=value)[-1].text == f"[{value}][{value}]"


@pytest.mark.parametrize("attack", ["</who>", "< / WHO >", "<who>", "</who\n>"])
def test_data_cannot_close_the_fence_around_it(tmp_path: Path, attack: str) -> None:
    text = library(tmp_path, text="<who>{{who}}</who>").get("hello").render(who=f"x{attack}y")[-1].text
    assert text.count("<") == 2
    assert "x‹" in text


def test_versions_are_found_by_number_and_the_newest_is_the_default(tmp_path: Path) -> None:
    library(tmp_path, text="one {{who}}", version=1)
    prompts = library(tmp_path, text="two {{who}}", version=2)
    assert prompts.get("hello").label == "hello@2"
    assert prompts.get("hello", 1).label == prompts.get("hello@1").label == "hello@1"
    assert prompts.get("hello@1").hash != prompts.get("hello@2").hash
    assert [prompt.label for prompt in prompts.all()] == ["hello@1", "hello@2"]
    for wrong in ("hello@3", "hello@x", "goodbye"):
        with pytest.raises(UsageError, match=wrong):
            prompts.get(wrong)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Hello {{who", "braces"),
        ("Hello {{who.upper()}} {{who}}", "braces"),
        ("Hello {{who}} and {{whom}}", "whom is not declared"),
        ("Hello", "who is never used"),
    ],
)
def test_a_broken_template_is_named_at_the_start(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=rf"hello1\.yaml: .*{says}"):
        library(tmp_path, text=text)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("name: x\n\tversion: 1", r"odd\.yaml:2"),
        (FILE.format(name="x", version=0, text="{{who}}"), "version"),
        (FILE.format(name="x", version=1, text="{{who}}") + "colour: red\n", "colour"),
        ("[]", "odd.yaml: file"),
    ],
)
def test_a_broken_file_is_named_at_the_start(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "odd.yaml").write_text(content)
    with pytest.raises(UsageError, match=says):
        PromptLibrary.load(tmp_path)


def test_a_version_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    library(tmp_path)
    (tmp_path / "copy.yaml").write_text(FILE.format(name="hello", version=1, text="{{who}}"))
    with pytest.raises(UsageError, match="hello@1 is there twice"):
        PromptLibrary.load(tmp_path)


def test_every_case_of_the_shipped_prompts_can_be_asked() -> None:
    prompts = PromptLibrary.load().all()
    assert {prompt.name for prompt in prompts} >= {"answer", "answerable", "rewrite", "judge", "second_look"}
    for prompt in prompts:
        assert prompt.cases, prompt.label
        for case in prompt.cases:
            asked = prompt.render(**case.variables)
            assert asked[0].role == "system"
            assert asked[-1].role == "user"
            assert case.variables[prompt.variables[-1]] in asked[-1].text
            assert "{{" not in "".join(line.text for line in asked)


def test_the_shots_before_the_question_do_not_change_with_it() -> None:
    """A model's cache keeps the prefix; the desk's name and tone are the same for all its turns."""
    first, second = (
        PromptLibrary.load()
        .get("answer")
        .render(desk="D", tone="t", language=way, passages=way, history=way, question=way)
        for way in ("English", "Vietnamese")
    )
    assert first[:-1] == second[:-1]
    assert first[-1] != second[-1]


@pytest.mark.parametrize("language", get_args(Language))
def test_there_is_a_reply_for_every_reason_and_kind_of_small_talk(language: Language) -> None:
    replies = Replies(profile())
    kinds = [*(reason for reason in get_args(Reason) if reason != "small_talk"), *SMALL_TALK, *OFFER, "self_harm"]
    texts = [replies.text(kind, language) for kind in kinds]
    assert all(len(text) > 10 for text in texts)
    assert not any("{{" in text for text in texts)
    assert len(set(texts)) >= len(texts) - 1  # low_confidence and ungrounded say the same


def test_replies_speak_the_language_that_is_asked_for() -> None:
    replies = Replies(profile())
    for key in replies.keys():  # noqa: SIM118  # no mapping
        vietnamese = replies.text(key, "vi")
        assert any(letter in "ạảấầẩậắằẵặẻẽếềểệỉịọỏốồổộớờởợụủứừửữựỳỷỹđơư" for letter in vietnamese), key
        assert replies.text(key, "en").isascii(), key


def test_a_sentence_whose_variable_is_empty_is_left_out() -> None:
    reachable = Replies(profile(contact=Contact(email="help@tide.example", hours="9 to 5")))
    silent = Replies(profile())
    assert "help@tide.example" in reachable.text("low_confidence", "en")
    assert "9 to 5" in reachable.text("low_confidence", "en")
    assert "call" not in reachable.text("low_confidence", "en")
    assert (
        silent.text("low_confidence", "en") == "I have no reliable information about that and would rather not guess."
    )
    assert "help@tide.example" in reachable.text("model_down", "vi")


def test_a_handoff_names_its_department_where_there_is_one() -> None:
    replies = Replies(profile())
    assert "Bến thuyền" in replies.text("customer_asked", "vi", department="Bến thuyền")
    assert replies.text("customer_asked", "en", department="") == replies.text("customer_asked", "en")
    with pytest.raises(UsageError, match="colour is unknown"):
        replies.text("customer_asked", "en", colour="red")
    with pytest.raises(UsageError, match="no reply 'shrug'"):
        replies.text("shrug", "en")


def test_the_desks_own_texts_replace_the_matching_defaults_only() -> None:
    own = Texts(refuse=Localised(en="Boats only, at {{desk}}. Call {{phone}}."), greeting=Localised(vi="Chào bạn!"))
    replies = Replies(profile(texts=own))
    plain = Replies(profile())
    assert replies.text("out_of_scope", "en") == replies.text("injection", "en") == "Boats only, at Tide & Timber."
    assert replies.text("out_of_scope", "vi") == "Boats only, at Tide & Timber."
    assert replies.text("greeting", "vi") == "Chào bạn!"
    for key in ("too_long", "budget", "toxicity", "guard_failed", "self_harm", "low_confidence"):
        assert replies.text(key, "en") == plain.text(key, "en")


def test_a_desks_text_with_an_unknown_variable_is_named() -> None:
    with pytest.raises(DeskError, match=r"desk\.yaml: texts\.handoff: variable fax is unknown"):
        Replies(profile(texts=Texts(handoff=Localised(en="Send a fax to {{fax}}."))))


def test_someone_in_despair_is_never_given_the_desks_refusal() -> None:
    replies = Replies(profile(texts=Texts(refuse=Localised(en="Boats only."))))
    assert "emergency" in replies.text("self_harm", "en")
    assert "115" in replies.text("self_harm", "vi")
