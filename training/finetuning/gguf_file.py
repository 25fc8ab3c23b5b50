"""A merged model written as GGUF, by the model of the GGUF that its base came from.

The kept package `gguf` writes the format but converts no tokenizer: llama.cpp's converter, which does, is a script in
its repository and in no package. So the header (tokenizer, chat form, shapes) is copied from the base's file, and
each tensor is replaced by the merged one of the same name, at the precision that follows from its kind.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

ARCHITECTURES = frozenset({"llama"})
"""Those whose layout is known here; of the others the names agree but rows may be ordered differently."""
SKIPPED = ("GGUF.", "general.architecture", "general.file_type", "general.quantization_version", "general.name")
HEADS, KEY_HEADS = "num_attention_heads", "num_key_value_heads"


def write_gguf(merged: Path, base: Path, target: Path, name: str) -> None:
    """Write the merged folder as GGUF with matrices in Q8_0. Raises UsageError for an architecture not known here."""
    import gguf  # noqa: PLC0415  # an extra

    reader = gguf.GGUFReader(str(base))
    architecture = str(reader.fields["general.architecture"].contents())
    if architecture not in ARCHITECTURES:
        what = f"a GGUF of architecture {architecture} cannot be written here"
        raise UsageError(
            what, where="--export gguf", fix="convert the folder `merged` with llama.cpp's convert_hf_to_gguf.py"
        )
    part = target.with_suffix(".partial")
    writer = gguf.GGUFWriter(str(part), architecture)
    _copy_header(reader, writer, name)
    weights = _weights(merged)
    config = json.loads((merged / "config.json").read_text(encoding="utf-8"))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, int(config["num_hidden_layers"]))
    renamed = {names.get_name(own, try_suffixes=(".weight",)): own for own in weights}
    for tensor in reader.tensors:
        values = _laid_out(tensor.name, weights[renamed[tensor.name]], config)
        flat = values.ndim == 1 or values.shape[-1] % gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType.Q8_0][0]
        kind = gguf.GGMLQuantizationType.F32 if flat else gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(tensor.name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(target)


def _copy_header(reader: Any, writer: Any, name: str) -> None:
    import gguf  # noqa: PLC0415

    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for key, each in reader.fields.items():
        if not key.startswith(SKIPPED):
            inner = each.types[-1] if each.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(key, each.contents(), each.types[0], sub_type=inner)


def _weights(folder: Path) -> dict[str, "np.ndarray"]:
    """Every tensor of a folder by its name, in float32."""
    return dict(_read(folder))


def _read(folder: Path) -> Iterator[tuple[str, "np.ndarray"]]:
    from safetensors import safe_open  # noqa: PLC0415

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as opened:
            for key in opened.keys():  # noqa: SIM118  # no mapping
                yield key, opened.get_tensor(key).float().numpy()


def _laid_out(name: str, values: "np.ndarray", config: dict[str, Any]) -> "np.ndarray":
    """llama.cpp turns the halves of each head's rotary pairs together; transformers keeps them apart."""
    if not name.endswith(("attn_q.weight", "attn_k.weight")):
        return values
    heads = int(config[HEADS] if name.endswith("attn_q.weight") else config.get(KEY_HEADS) or config[HEADS])
    rows, columns = values.shape
    turned: np.ndarray = values.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
    return turned
