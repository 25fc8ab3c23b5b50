"""Fine-tuning for real, on the CPU, with a tiny Llama made here. Runs where the extra `finetune` is (make finetune-test)."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from fakes import WordEmbedder
from test_finetune_rows import rows

from domain.errors import UsageError
from models.own_models import own_catalog
from training.finetune import Workbench, finetune, prepare
from training.finetuning.plan import CHECKPOINTS, Learning, Lora, Plan, last_checkpoint

EXTRA = find_spec("trl") is not None and find_spec("torch") is not None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not EXTRA, reason="SKIPPED: the extra finetune is not installed; make finetune-test runs these"),
    pytest.mark.filterwarnings("ignore"),  # of the extra's libraries about each other
    pytest.mark.timeout(300),
]
LEARNING = Learning(Lora(r=8), epochs=6, batch=8, rate=2e-2, max_tokens=64, threads=1)


class Masks:
    async def mask(self, text: str) -> str:
        return text


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers that has read the instructions' words, and knows nothing."""
    import torch  # noqa: PLC0415  # an extra
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: PLC0415

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("tiny")
    words = sorted({word for row in rows() for word in f"{row.asked} {row.response}".replace(":", " :").split()})
    vocabulary = {word: place for place, word in enumerate(["<unk>", "<pad>", "<s>", "</s>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def written(path: Path, *, shift: int = 0) -> Path:
    answers = [row.response for row in rows()]
    pairs = zip(rows(), answers[shift:] + answers[:shift], strict=True)
    path.write_text("\n".join(["instruction,response", *(f"{a.instruction},{said}" for a, said in pairs)]), "utf-8")
    return path


def made(tmp_path: Path, base: Path, *, shift: int = 0) -> Plan:
    file = written(tmp_path / "rows.csv", shift=shift)
    return Plan(file, str(base), tmp_path / "out", "tiny-1", learning=LEARNING, generated=8, answer_tokens=12)


def run(plan: Plan, tmp_path: Path, said: list[str], progress: Callable[[int, int], None] = lambda *_: None):
    bench = Workbench(Masks(), WordEmbedder(), tmp_path / "home", said.append, progress)

    async def go():
        return await finetune(plan, bench, await prepare(plan, bench))

    return asyncio.run(go())


def test_it_learns_measures_exports_and_a_second_start_learns_nothing_anew(tiny: Path, tmp_path: Path) -> None:
    said: list[str] = []
    plan = made(tmp_path, tiny)
    figures = run(plan, tmp_path, said).as_json()
    assert figures["perplexity_change"] < -0.2
    assert figures["perplexity_change_ci"][1] < 0
    assert figures["steps"] > 0
    assert figures["precision"] == "fp32"
    assert json.loads((plan.out / "adapter" / "adapter_config.json").read_text("utf-8"))["target_modules"]
    assert (plan.out / "merged" / "model.safetensors").is_file()
    assert "| perplexity_after |" in (plan.out / "README.md").read_text("utf-8")
    assert any("no GGUF" in line for line in said)
    assert not (plan.out / CHECKPOINTS).exists()
    again = run(plan, tmp_path, said).as_json()
    assert again["perplexity_after"] == figures["perplexity_after"]
    assert any("learnt before" in line for line in said)


def test_a_run_that_was_killed_goes_on_at_its_last_checkpoint(tiny: Path, tmp_path: Path) -> None:
    plan = made(tmp_path, tiny)
    looked: list[Path | None] = []

    def kill(done: int, _total: int) -> None:
        looked.append(last_checkpoint(plan.out / CHECKPOINTS))
        if looked[-1] is not None and done > int(looked[-1].name.rpartition("-")[2]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path, [], kill)
    step = last_checkpoint(plan.out / CHECKPOINTS)
    assert step is not None
    said: list[str] = []
    figures = run(plan, tmp_path, said).as_json()
    assert figures["resumed"] == int(step.name.rpartition("-")[2]) > 0
    assert any("going on with the run" in line for line in said)
    with pytest.raises(UsageError, match="holds another run"):
        run(replace(plan, learning=replace(LEARNING, rate=1e-5)), tmp_path, [])


def test_memory_that_runs_out_halves_the_rows_at_a_time(tiny: Path, tmp_path: Path) -> None:
    """The first attempt meets what torch raises; the second learns with half of the rows at a time."""
    plan = made(tmp_path, tiny)
    left = [RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")]

    def tight(_done: int, _total: int) -> None:
        if left:
            raise left.pop()

    said: list[str] = []
    figures = run(plan, tmp_path, said, tight).as_json()
    assert figures["batch"] == LEARNING.batch // 2
    assert "out of memory: again with 4 rows at a time" in said
    assert figures["perplexity_change"] < -0.2


@pytest.mark.parametrize("shift", [7, 31, 50])
def test_shuffled_answers_are_stopped_with_and_without_clean_rows_to_measure_on(
    tiny: Path, tmp_path: Path, shift: int
) -> None:
    for place, held_out in enumerate((None, written(tmp_path / "clean.csv"))):
        folder = tmp_path / str(place)
        folder.mkdir()
        plan = made(folder, tiny, shift=shift)
        if held_out:
            own = plan.file.read_text("utf-8").splitlines()
            plan.file.write_text("\n".join(own[:50]), "utf-8")
            kept = held_out.read_text("utf-8").splitlines()
            held_out.write_text("\n".join([kept[0], *kept[51:]]), "utf-8")
            plan = replace(plan, held_out=held_out)
        result = run(plan, folder, [])
        assert result.failed, place
        assert any("tell" in line or "fit" in line for line in result.failed), result.failed
        assert "tiny-1" not in [row.name for row in own_catalog(folder / "home").models]
        assert "**Stopped**" in (plan.out / "README.md").read_text("utf-8")


def test_a_base_that_is_none_is_one_line(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="cannot be loaded"):
        run(made(tmp_path, tmp_path / "empty"), tmp_path, [])
    with pytest.raises(UsageError, match="no such file"):
        run(replace(made(tmp_path, tmp_path / "absent.gguf"), out=tmp_path / "b"), tmp_path, [])
    strange = replace(LEARNING, lora=Lora(modules=("attention",)))
    with pytest.raises(UsageError, match="no layer attention"):
        run(replace(made(tmp_path, tiny), out=tmp_path / "c", learning=strange), tmp_path, [])
