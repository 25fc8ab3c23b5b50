"""Find a desk's folder and read its desk.yaml; a wrong key is named with its line and the nearest right one."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

import yaml
from pydantic import BaseModel, ValidationError

from domain.errors import DeskError
from domain.profile import DeskProfile

INSTALLED_DESKS = Path(__file__).resolve().parent.parent / "desks"

Location = Sequence[int | str]


def find_desk(name: str, working: Path | None = None) -> Path:
    """The folder of a desk: a path as it is, a name in ./desks, then in the installation."""
    if name != Path(name).name or name in (".", ".."):
        candidates = [Path(name)]
    else:
        candidates = [(working or Path.cwd()) / "desks" / name, INSTALLED_DESKS / name, Path(name)]
    for folder in candidates:
        if (folder / "desk.yaml").is_file():
            return folder.resolve()
    raise DeskError(
        f"no desk.yaml for desk {name!r}", where=str(candidates[0]), fix="pass --desk a name in ./desks or a folder"
    )


def read_profile(folder: Path) -> DeskProfile:
    """Read and check `folder/desk.yaml`. Raises DeskError with file and line."""
    path = folder / "desk.yaml"
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as fault:
        raise DeskError("cannot be read as UTF-8 text", where=str(path), fix="check the file") from fault
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        raise DeskError(f"no valid YAML: {fault.problem}", where=f"{path}:{line}", fix="mend this line") from fault
    if not isinstance(data, dict):
        raise DeskError("holds no settings", where=f"{path}:1", fix="name and scope.describe suffice")
    try:
        return DeskProfile.model_validate(data)
    except ValidationError as fault:
        first = fault.errors()[0]
        raise DeskError(
            _what(first["type"], first["msg"], first["loc"]),
            where=f"{path}:{_line(tree, first['loc'])}",
            fix=_fix(first["type"], first["loc"]),
        ) from fault


def write_thresholds(folder: Path, thresholds: Mapping[str, float]) -> None:
    """Set `guards.thresholds` in a desk's desk.yaml; comments and the order of keys stay. Raises DeskError."""
    write_guards(folder, thresholds)


def write_guards(
    folder: Path, thresholds: Mapping[str, float], *, inside: Sequence[str] = (), outside: Sequence[str] = ()
) -> None:
    """The same, and more examples of what the desk is for (`scope.in`) and is not (`scope.out`)."""
    from ruamel.yaml import YAML  # noqa: PLC0415  # only where a desk is written
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString  # noqa: PLC0415

    path = folder / "desk.yaml"
    rounds = YAML()
    rounds.preserve_quotes = True
    rounds.width = 10_000  # lines stay as long as they were
    rounds.indent(mapping=2, sequence=4, offset=2)
    try:
        data = rounds.load(path.read_text(encoding="utf-8"))
        if thresholds:
            data.setdefault("guards", {}).setdefault("thresholds", {}).update(thresholds)
        for key, texts in (("in", inside), ("out", outside)):
            if texts:
                # Quoted: bare, a question mark ends a list in one line for other readers of YAML.
                data["scope"].setdefault(key, []).extend(DoubleQuotedScalarString(text) for text in texts)
        aside = path.with_name("desk.yaml.new")
        with aside.open("w", encoding="utf-8") as stream:
            rounds.dump(data, stream)
        aside.replace(path)
    except (OSError, YAMLError) as fault:
        fix = "copy the desk to a folder of yours and pass --desk FOLDER"
        raise DeskError(f"cannot be written: {type(fault).__name__}", where=str(path), fix=fix) from fault


def _what(kind: str, message: str, location: Location) -> str:
    key = ".".join(str(part) for part in location)
    match kind:
        case "extra_forbidden":
            return f"unknown key {key!r}"
        case "missing":
            return f"{key!r} is missing"
        case _:
            return f"{key!r}: {message}"


def _fix(kind: str, location: Location) -> str:
    known = _keys(DeskProfile, location[:-1])
    if kind != "extra_forbidden" or not known:
        return "see docs/desks.md"
    near = get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"


def _keys(model: type[BaseModel], path: Location) -> list[str]:
    """The keys that the part of desk.yaml at `path` may have."""
    for part in path:
        if isinstance(part, int):
            continue
        field = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _line(node: yaml.Node | None, location: Location) -> int:
    """The line of the key at `location`, or of the nearest thing around it."""
    line = node.start_mark.line + 1 if node else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line
