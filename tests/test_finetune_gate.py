"""Fine-tuning without torch: its figures and gate, its folder, its memory, its card, its row, its command."""

import asyncio
import math
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from fakes import WordEmbedder
from test_finetune_rows import rows
from typer.testing import CliRunner

from cli.main import build
from domain.errors import FrontdeskError, SettingsError, UsageError, WeightsError
from models.own_models import OWN, OwnWeights, add_row, own_catalog, weights_of
from training.finetune import Workbench, clear, prepare
from training.finetuning.card import card, enter, sha256
from training.finetuning.figures import Answers, Measured, fit_figure, perplexity, summed_up
from training.finetuning.measuring import Read, other_instructions
from training.finetuning.memory import with_smaller_batches
from training.finetuning.plan import Learning, Lora, Plan, claim, fingerprint, last_checkpoint, precision

GOOD = fit_figure([True] * 30)


def measured(
    nats: float, *, apart: float = 1.0, margin: float = 3, rouge: float = 0.5, judged: float | None = 0.6, n: int = 40
) -> Measured:
    reads = [Read(nats + place % 5, 20, nats + place % 5 + (margin if place < apart * n else -3)) for place in range(n)]
    answers = [place / 100 for place in range(16)]
    judgements = [None if judged is None else judged + each for each in answers]
    return Measured(reads, Answers(0.2, [rouge + each for each in answers], judgements))


def plan(tmp_path: Path, **changes: object) -> Plan:
    file = tmp_path / "rows.csv"
    lines = ["instruction,response", *(f"{row.instruction},{row.response}" for row in rows())]
    file.write_text("\n".join(lines), encoding="utf-8")
    made = Plan(file, "bases/tiny", tmp_path / "out", "shop-1", licence="our own")
    return replace(made, **changes)  # type: ignore[arg-type]  # of one test each


class Masks:
    async def mask(self, text: str) -> str:
        return text.replace("sofa", "<ADDRESS_1>")


def bench(tmp_path: Path, said: list[str]) -> Workbench:
    return Workbench(Masks(), WordEmbedder(), tmp_path / "home", said.append, lambda *_: None)


def test_perplexity_weighs_tokens_not_rows() -> None:
    assert perplexity([Read(10, 10, 0), Read(90, 30, 0)]) == pytest.approx(math.exp(100 / 40))
    assert perplexity([]) is None


def test_a_better_model_passes_and_its_figures_say_by_how_much() -> None:
    result = summed_up(measured(60), measured(40, rouge=0.6, judged=0.7), GOOD, {"name": "x"})
    flat = result.as_json()
    assert result.failed == []
    assert flat["perplexity_change"] == pytest.approx(math.exp(-1) - 1, abs=1e-4)
    assert flat["rouge_l_diff"] == pytest.approx(0.1)
    assert flat["judge_diff_ci"] == pytest.approx([0.1, 0.1])
    assert flat["bleu_after"] == 0.2
    assert flat["told_apart_before_n"] == 40


@pytest.mark.parametrize(
    ("after", "fit", "why"),
    [
        (measured(60), GOOD, "no likelier than before"),
        (measured(70), GOOD, "no likelier than before"),
        (measured(40, apart=0.5), GOOD, "does not tell a right response from another row's"),
        (measured(40, apart=0.8), GOOD, "no longer tells 8 right responses"),
        (measured(40, margin=2), GOOD, "hang less on what was asked (nats -1.000"),
        (measured(40, rouge=0.4), GOOD, "worse by ROUGE-L"),
        (measured(40, judged=0.5), GOOD, "worse by the judge"),
        (measured(40, judged=None), GOOD, "the judge has scored 0 answers"),
        (measured(40), fit_figure([True, False] * 15), "are the columns shuffled"),
    ],
)
def test_the_gate_stops_what_is_worse_or_was_not_measured(after: Measured, fit, why: str) -> None:
    failed = summed_up(measured(60), after, fit, {}).failed
    assert any(why in line for line in failed), failed


def test_an_unscored_answer_is_left_out_of_the_judges_mean() -> None:
    after = measured(40)
    after.answers.judged[0] = None
    flat = summed_up(measured(60), after, GOOD, {}).as_json()
    assert flat["judge_unscored_after"] == 1
    assert flat["judge_diff_n"] == 15
    assert flat["judge_diff"] == pytest.approx(0)


def test_each_row_is_held_against_an_instruction_with_another_response() -> None:
    own = rows()
    asked = [row.asked for row in own]
    others = other_instructions(own)
    assert all(own[asked.index(other)].response != row.response for row, other in zip(own, others, strict=True))


def test_memory_that_runs_out_halves_the_batch_and_is_told() -> None:
    said: list[str] = []

    def work(batch: int) -> str:
        if batch > 3:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
        return f"done with {batch}"

    assert with_smaller_batches(work, 8, said.append) == ("done with 2", 2)
    assert said == ["out of memory: again with 4 rows at a time", "out of memory: again with 2 rows at a time"]


def test_memory_that_is_too_small_for_a_row_is_an_error_and_other_faults_stay() -> None:
    class OutOfMemoryError(RuntimeError):
        """Named as torch's."""

    def never(_batch: int) -> None:
        raise OutOfMemoryError("CUDA")

    def broken(_batch: int) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(FrontdeskError, match="one row at a time"):
        with_smaller_batches(never, 2, lambda _: None)
    with pytest.raises(RuntimeError, match="shapes differ"):
        with_smaller_batches(broken, 2, lambda _: None)


def test_weights_are_held_in_what_the_machine_is_good_for() -> None:
    gpu = {"cuda": True, "bf16": True, "quantizer": True, "four_bit": True}
    assert precision(**gpu) == "4bit"
    assert precision(**gpu | {"four_bit": False}) == "bf16"
    assert precision(**gpu | {"quantizer": False, "bf16": False}) == "fp32"
    assert precision(**gpu | {"cuda": False}) == "fp32"
    assert (Lora().r, Lora().alpha, Lora().modules) == (8, 32, ("q_proj", "v_proj"))


def test_a_folder_belongs_to_one_run(tmp_path: Path) -> None:
    made = plan(tmp_path)
    run = fingerprint(made, rows())
    assert claim(made.out, run, fresh=False) is False
    assert claim(made.out, run, fresh=False) is True
    assert fingerprint(replace(made, learning=Learning(threads=3)), rows()) == run
    other = fingerprint(replace(made, learning=Learning(epochs=9)), rows()[1:])
    with pytest.raises(UsageError, match=r"other rows_sha256, learning"):
        claim(made.out, other, fresh=False)
    assert claim(made.out, other, fresh=True) is False
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="not empty and holds no run"):
        claim(tmp_path / "mine", run, fresh=True)


def test_half_a_checkpoint_is_passed_over(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for step, state in ((2, "{}"), (10, "{}"), (12, '{"cut')):
        place = tmp_path / f"checkpoint-{step}"
        place.mkdir()
        for name, text in (("adapter_model.safetensors", ""), ("optimizer.pt", ""), ("trainer_state.json", state)):
            (place / name).write_text(text)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    (tmp_path / "checkpoint-10" / "optimizer.pt").unlink()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


def test_rows_are_masked_split_and_held_against_their_instructions(tmp_path: Path) -> None:
    said: list[str] = []
    made = plan(tmp_path, rows=40, measured=5)
    prepared = asyncio.run(prepare(made, bench(tmp_path, said)))
    split = prepared.split
    everything = [*split.train, *split.validation, *split.held_out]
    assert (len(split.train), len(split.held_out)) == (40, 5)
    assert prepared.masked == sum("<ADDRESS_1>" in row.asked for row in everything) > 0
    assert not any("sofa" in row.asked + row.response for row in everything)
    assert sum(prepared.fit) / len(prepared.fit) > 0.9
    assert f"personal data was masked in {prepared.masked} rows" in said


def test_shuffled_answers_are_seen_before_anything_is_learnt(tmp_path: Path) -> None:
    made = plan(tmp_path)
    answers = [row.response for row in rows()]
    lines = [f"{row.instruction},{answer}" for row, answer in zip(rows(), answers[31:] + answers[:31], strict=True)]
    made.file.write_text("\n".join(["instruction,response", *lines]), encoding="utf-8")
    prepared = asyncio.run(prepare(made, bench(tmp_path, [])))
    failed = summed_up(measured(60), measured(40), fit_figure(prepared.fit), {}).failed
    assert any("are the columns shuffled" in line for line in failed)


def about() -> dict[str, object]:
    counts = dict.fromkeys(("train", "validation", "held_out", "different", "repeated", "duplicates_across"), 3)
    more = {"shared_responses": 0, "left_out": 0, "masked": 5, "precision": "fp32", "against": "base"}
    return {**counts, **more, "steps": 7, "epochs": 1.0, "loss": 2.5, "cut": 0}


def test_the_card_tells_data_figures_and_verdict(tmp_path: Path) -> None:
    made = plan(tmp_path)
    text = card(made, summed_up(measured(60), measured(70), GOOD, about()), {"adapter": made.out / "adapter"})
    head = yaml.safe_load(text.split("---")[1])
    assert head == {"base_model": "tiny", "library_name": "peft", "license": "our own"}
    assert sha256(made.file) in text
    assert "5 masked" in text
    assert "**Stopped**" in text
    assert "| perplexity_after |" in text
    assert "do not pass this model on" in card(
        replace(made, licence=""), summed_up(measured(60), measured(40), GOOD, about()), {}
    )


def test_what_passed_is_entered_and_asked_only_when_it_is_named(tmp_path: Path) -> None:
    made, home = plan(tmp_path), tmp_path / "home"
    gguf = tmp_path / "shop-1.gguf"
    gguf.write_bytes(b"GGUF of a test")
    made.out.mkdir()
    (made.out / "README.md").write_text("card")
    assert "FRONTDESK_LLM_MODEL=shop-1" in enter(made, home, gguf)
    enter(made, home, gguf)
    catalog = own_catalog(home)
    assert [row.name for row in catalog.models].count("shop-1") == 1
    assert catalog.local().name != "shop-1"
    row = catalog.local("shop-1")
    assert row.weak
    weights = weights_of(row)
    assert asyncio.run(weights.fetch()) == gguf
    assert catalog.routes(base_url="http://127.0.0.1:1", model="shop-1")[0].row == row
    gguf.write_bytes(b"another")
    with pytest.raises(WeightsError, match="not used"):
        weights.check()
    gguf.unlink()
    with pytest.raises(WeightsError, match="is not there"):
        asyncio.run(weights.fetch())


def test_a_wrong_row_of_ones_own_is_named_and_never_written(tmp_path: Path) -> None:
    path = tmp_path / OWN
    assert own_catalog(tmp_path).models
    shipped = own_catalog(tmp_path).models[0].model_dump(mode="json")
    with pytest.raises(SettingsError, match="named twice"):
        add_row(path, shipped)
    assert not path.exists()
    path.write_text("models: [{name: mine}]", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"models.yaml: models\[0\]\.endpoint"):
        own_catalog(tmp_path)
    path.write_text("- nothing", encoding="utf-8")
    with pytest.raises(SettingsError, match="holds no models"):
        own_catalog(tmp_path)


def test_own_weights_fetch_nothing(tmp_path: Path) -> None:
    gguf = tmp_path / "a.gguf"
    gguf.write_bytes(b"x")
    from models.catalog import OwnWeightsRow  # noqa: PLC0415  # of this test alone

    weights = OwnWeights(OwnWeightsRow(path=str(gguf), sha256=sha256(gguf), bytes=1))
    assert weights.plan().fetch_mb == 0
    assert weights.check() == gguf


@pytest.mark.skipif(find_spec("trl") is not None, reason="the extra finetune is installed here")
def test_without_the_extra_the_command_says_how_to_install_it(tmp_path: Path) -> None:
    made = plan(tmp_path)
    done = CliRunner().invoke(build(), ["finetune", str(made.file), "--base", "x"])
    assert done.exit_code == 2
    assert 'pip install "frontdesk[finetune]"' in done.stderr
    assert done.stderr.count("\n") == 1


def test_wrong_options_are_one_line(tmp_path: Path) -> None:
    made = plan(tmp_path)
    for options, what in (
        ([], "needs a model to start from"),
        (["--base", "x", "--name", "../up"], "is no name for a model"),
        (["--base", "x", "--export", "zip"], "no such form: zip"),
    ):
        done = CliRunner().invoke(build(), ["finetune", str(made.file), *options])
        assert done.exit_code == 2
        assert what in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("q,a\nx,y\n", "needs the columns instruction and response, and has q, a"),
        ("instruction,response\na,b\nc,d\n", "2 different rows are too few"),
        ("instruction,response\n" + "".join(f"{row.instruction},refund\n" for row in rows()), "the same response"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_before_anything_else(tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(build(), ["finetune", str(file), "--base", "absent"])
    assert done.exit_code == 2
    assert what in done.stderr
    assert done.stderr.count("\n") == 1


def test_starting_anew_touches_no_folder_that_holds_no_run(tmp_path: Path) -> None:
    for name in ("mine", "run"):
        (tmp_path / name / "adapter").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text("{}")
    clear(tmp_path / "mine")
    clear(tmp_path / "run")
    assert (tmp_path / "mine" / "adapter").is_dir()
    assert not (tmp_path / "run" / "adapter").exists()
