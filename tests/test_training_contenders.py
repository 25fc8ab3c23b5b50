"""Contenders for the heads' place: fitted on the same rows, judged on what was left out."""

import asyncio
import json
from importlib.util import find_spec

import numpy as np
import pytest

from domain.errors import UsageError
from evals.blocking import CURVE
from evals.guard_curves import contenders as told
from evals.guard_curves import curves
from training.contenders import SAMPLED, TUNED, Vectors, compare, contenders, sampled
from training.corpus import FAMILIES, HARMLESS, Row, rough_talk
from training.left_out import WORDS
from training.vectors import KeptQuestions

VERBS = ["open", "close", "paint", "sell", "fix", "wash", "carry", "find", "count", "lift"]
SOURCE = {"injection": "s-labs", "malicious": "own_malicious", "toxicity": "davidson"}
WORD = {"injection": "zorblax", "malicious": "quibber", "toxicity": "frimble"}
HARMFUL = {"injection": "attack", "malicious": "harmful", "toxicity": "toxic"}
BAD = [Row(f"now {verb} the big {WORD[family]} please", SOURCE[family], {family: True}) for family in FAMILIES for verb in VERBS]  # fmt: skip
OUTSIDE = [Row("how do I sell a zorblax", "advbench", {"malicious": True})]
GOOD = [Row(f"where can I {verb} my old lamp", "nlupp", HARMLESS) for verb in VERBS]


class Lamps:
    """Sees one word of each family."""

    name = "lamps"

    async def query(self, text):
        return [float(word in text) for word in WORD.values()]


def test_contenders_are_judged_on_what_no_fit_has_seen(tmp_path):
    for family, word in WORD.items():
        kinds = ("advbench", "donotanswer") if family == "malicious" else ("new",)
        rows = [{"text": f"may the {word} sing to {kind}", "label": HARMFUL[family], "kind": kind} for kind in kinds]
        rows += [{"text": f"is lamp {n} bright", "label": "benign", "kind": "banking77"} for n in range(6)]
        shown = [row for row in rows for _ in range(3)] if family == "injection" else rows  # each third is read
        (tmp_path / f"{family}.jsonl").write_text("\n".join(map(json.dumps, shown)))
    fitted = []

    def tuned(rows, texts):
        fitted.append({row.source for row in rows})
        return np.asarray([[float(word in text) for word in WORD.values()] for text in texts])

    embedded = [Vectors(KeptQuestions(Lamps(), tmp_path), ("malicious",))]
    figures = asyncio.run(compare([*BAD, *OUTSIDE, *GOOD], tmp_path, embedded, tuned, lambda _: None))
    assert fitted == [{*SOURCE.values(), "nlupp"}]
    found = figures["families"]
    assert set(found["toxicity"]) == {
        WORDS,
        TUNED,
        f"{WORDS} + {TUNED}",
        f"{WORDS}, any family",
        f"{TUNED}, any family",
    }
    for name in (WORDS, "lamps", TUNED):
        assert found["malicious"][name]["recall"] == [1.0] * len(CURVE)
        assert set(found["malicious"][name]["by_kind"]) == {"advbench", "donotanswer"}
    assert (found["injection"][TUNED]["harmful"], found["injection"][TUNED]["harmless"]) == (1, 6)
    page = tmp_path / "contenders.json"
    page.write_text(json.dumps(figures))
    assert "| malicious | lamps | 1.000 | 1.000 | 1.000 | 1.000 | 1.000 | advbench 1.000, donotanswer 1.000 |" in told(
        page
    )
    assert told(tmp_path / "none.json") == ""


def test_sums_and_the_surest_family_weigh_each_contender_alike():
    small, large = np.asarray([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]]), np.asarray([[0.0, 0, 0], [0, 0, 0], [900, 0, 0]])
    found = contenders({WORDS: small, "lamps": large}, 0)
    both = found[f"{WORDS} + lamps"]
    assert both[1] == pytest.approx(both[2])
    assert found[f"{WORDS}, any family"][0] == pytest.approx(found[f"{WORDS}, any family"][1])


def test_few_rows_of_a_source_are_drawn_the_same_each_time():
    rows = [Row(f"where is the tweet number {n}", "stackfaq", HARMLESS) for n in range(100)]
    rows += [Row("tôi muốn hỏi về đơn hàng của tôi", "stackfaq", HARMLESS), Row("who is it", "nobody", HARMLESS)]
    drawn = sampled(rows)
    assert len(drawn) == SAMPLED["stackfaq"]
    assert {row.text for row in sampled(rows[::-1])} == {row.text for row in drawn}


def test_rough_comments_that_were_found_harmless_are_harmless(tmp_path):
    for name, rows in {
        "toxicity/davidson_tweets": [{"text": "d", "label": "hate"}],
        "toxicity/toxigen_implicit": [{"text": "t", "label": "neutral"}],
        "toxicity/surge_toxicity": [{"text": "s", "label": "ok"}, {"text": "u", "label": "toxic"}],
        "vietnamese/vihos_train_dev": [{"text": "v", "toxic": "0"}],
    }.items():
        path = tmp_path / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(map(json.dumps, rows)))
    toxic = {row.text: row.labels["toxicity"] for row in rough_talk(tmp_path)}
    assert toxic == {"d": True, "t": False, "s": False, "u": True, "v": False}
    (tmp_path / "toxicity" / "surge_toxicity.jsonl").write_text(json.dumps({"text": "s", "label": "fine"}))
    with pytest.raises(UsageError, match="'fine' is not known"):
        list(rough_talk(tmp_path))


def test_a_curve_is_told_by_kind_and_for_each_embedder(tmp_path):
    flat = {"by_kind": {}, "curve": {"all": [0.1, 0.2, 0.3, 0.4], "a": [0.1] * 4, "b": [0.2] * 4}}
    one = {"curve": {"all": [0.5] * 4, "a": [0.5] * 4}}
    path = tmp_path / "heads.json"
    path.write_text(json.dumps({"malicious": flat | {"vectors": {"lamps": one}}, "fitted_on": {}}))
    rows = [line for line in curves(path).split("\n") if line.startswith("| mal")]
    assert rows[0] == "| malicious | all | 0.100 | 0.200 | 0.300 | 0.400 |"
    assert [row.split("|")[1:3] for row in rows[1:]] == [[" malicious ", " a "], [" malicious ", " b "], [" malicious, lamps ", " all "]]  # fmt: skip
    assert curves(tmp_path / "none.json") == ""


learns = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("transformers") is None,
    reason="SKIPPED: the extra finetune is not installed; make finetune-test runs this",
)
noisy = pytest.mark.filterwarnings("ignore")  # of the extra's libraries about each other


@pytest.fixture
def reader(tmp_path):
    """A folder with an encoder that tells words apart, as a pretrained one does, and knows nothing of the families."""
    import torch  # noqa: PLC0415  # an extra
    from transformers import BertConfig, BertModel, BertTokenizer  # noqa: PLC0415

    torch.manual_seed(1)
    words = [*VERBS, "a", "lamp", *WORD.values()]
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    sizes = {"hidden_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 128}
    body = BertModel(BertConfig(vocab_size=len(words) + 5, max_position_embeddings=64, **sizes))
    body.embeddings.word_embeddings.weight.data.mul_(50)  # drawn at .02, which position and layers would drown
    body.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.slow
@learns
@noisy
def test_an_encoder_learns_to_tell_the_families_apart(reader):
    from training.finetuning.encoder import fine_tune, open_encoder  # noqa: PLC0415  # torch

    rows = [Row(f"{verb} a lamp", "nlupp", HARMLESS) for verb in VERBS]
    rows += [Row(f"{verb} a {WORD[own]}", SOURCE[own], HARMLESS | {own: True}) for own in FAMILIES for verb in VERBS]
    encoder = open_encoder(reader, 1)
    steps = []
    fine_tune(encoder, rows * 2, 60, lambda done, total: steps.append((done, total)))
    values = encoder.values([f"lift a {word}" for word in (*WORD.values(), "lamp")], lambda *_: None)
    assert (values > 0).tolist() == [*np.eye(3, dtype=bool).tolist(), [False] * 3]
    assert steps[-1][0] == steps[-1][1]
    with pytest.raises(UsageError, match="holds no encoder"):
        open_encoder(reader / "none", 1)


@pytest.mark.slow
@learns
@noisy
def test_a_row_teaches_an_encoder_nothing_of_families_that_it_does_not_speak_of(reader):
    from training.finetuning.encoder import fine_tune, open_encoder  # noqa: PLC0415  # torch

    encoder = open_encoder(reader, 1)
    before = encoder.head.weight.detach().clone()
    fine_tune(encoder, [Row("lift a zorblax", "s-labs", {"injection": True})] * 64, 5, lambda *_: None)
    moved = (encoder.head.weight.detach() - before).abs().max(dim=1).values.tolist()
    assert moved[0] > 100 * max(moved[1:])  # weight decay alone moves the others
