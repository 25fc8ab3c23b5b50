"""The house stands as docs say: floors, sizes, one place for each thing, no work at import."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent
ROOMS = [
    "domain",
    "store",
    "tracing",
    "guards",
    "models",
    "prompts",
    "retrieval",
    "scoring",
    "nodes",
    "graph",
    "evals",
    "api",
    "training",
    "cli",
]
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
WIDEST_FRONT = 7


def files() -> list[Path]:
    return sorted(path for room in ROOMS for path in (HOUSE / room).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


def importers(library: str) -> list[str]:
    statement = re.compile(rf"^\s*(?:import|from) {library}\b", re.MULTILINE)
    return [name(path) for path in files() if statement.search(path.read_text("utf-8"))]


def calls(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def test_imports_point_down() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=HOUSE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_files_and_functions_stay_readable() -> None:
    long = [name(path) for path in files() if len(path.read_text("utf-8").splitlines()) > LONGEST_FILE]
    for path in files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.append(f"{name(path)}:{node.lineno} {node.name} ({lines} lines)")
    assert long == []


@pytest.mark.parametrize(
    ("library", "place"),
    [
        ("langfuse", ["tracing/langfuse.py"]),
        ("presidio_analyzer", ["guards/pii.py"]),
        ("langchain_openai", ["models/openai_wire.py"]),
        ("ray", ["graph/on_ray.py"]),
        ("py3langid", ["domain/language.py"]),
    ],
)
def test_a_library_has_one_importer(library: str, place: list[str]) -> None:
    assert importers(library) == place


def test_chroma_and_the_document_loaders_live_in_retrieval() -> None:
    for library in ("chromadb", "langchain_community", "bm25s"):
        found = importers(library)
        assert found, library
        assert all(path.startswith("retrieval/") for path in found), found


def test_the_environment_is_read_in_one_place() -> None:
    reads = re.compile(r"os\.getenv|os\.environ(?!\[[^\]]+\] = )")
    # pydantic-settings reads it, in domain/settings.py; a measurement hands it on to the program that it starts.
    measurements = {"evals/running.py", "evals/second_desk.py", "evals/streaming.py"}
    readers = [name(path) for path in files() if reads.search(path.read_text("utf-8"))]
    assert set(readers) <= measurements


def test_time_and_ids_come_from_the_clock() -> None:
    forbidden = re.compile(
        r"^(datetime\.now|datetime\.datetime\.now|datetime\.utcnow|time\.time|time\.monotonic"
        r"|uuid\d?\.?\w*|uuid_utils\.\w+|random\.\w+|secrets\.token_\w+)$"
    )
    # Passwords and retries may need randomness that no test wants to repeat; each place is named here.
    allowed = {"graph/system.py", "api/app.py", "graph/keyring.py"}
    found = [
        f"{name(path)}:{line} {call}"
        for path in files()
        if name(path) not in allowed
        for line, call in calls(path)
        if forbidden.match(call)
    ]
    assert found == []


def test_importing_a_room_does_no_work() -> None:
    """A module level holds definitions; a call there must be one that only defines."""
    defining = re.compile(
        r"^(re\.compile|regex\.compile|frozenset|dict|tuple|list|set|sorted|Path|.*\.resolve|TypeVar|ParamSpec|field|Field"
        r"|str\.maketrans|maketrans|cast|typer\.\w+|app\.\w+|.*\.(command|callback|add_typer)|APIRouter|router\.\w+"
        r"|ContextVar|structlog\.get_logger|logging\.getLogger|Console|Prices|Localised|Texts|Contact|SecretStr|Literal"
        r"|MetaData|Table|Column|_column|Index|ForeignKey|sa\.\w+|partial|range|len|NamedTuple|namedtuple|timedelta|date|datetime"
        r"|guard|Annotated|enumerate|zip|str|text|build|dict\.fromkeys|get_args|TypeAdapter|MappingProxyType|.*\.(join|format|split|splitlines|strip|keys|values|items|with_name|joinpath))$"
    )
    found = []
    for path in files():
        if name(path) == "graph/studio.py":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        for statement in tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr):
                found += [
                    f"{name(path)}:{node.lineno} {ast.unparse(node.func)}"
                    for node in ast.walk(statement)
                    if isinstance(node, ast.Call)
                    and not defining.match(ast.unparse(node.func))
                    and not ast.unparse(node.func)[:1].isupper()
                    and not ast.unparse(node.func).startswith("_")
                ]
    assert found == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_a_small_front(room: str) -> None:
    exported = getattr(importlib.import_module(room), "__all__", [])
    assert len(exported) <= WIDEST_FRONT, exported


def test_floors_below_the_graph_load_no_graph() -> None:
    """`import langgraph.graph` costs a second: guards, retrieval and the CLI's --help must not pay it."""
    probe = (
        "import sys, domain.turn, guards, retrieval, prompts, cli.main;"
        "print([m for m in ('langgraph.graph', 'chromadb', 'presidio_analyzer', 'langchain_openai', 'langfuse')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=HOUSE, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_locks_hold_hashes_and_no_address() -> None:
    for lock in [*HOUSE.glob("requirements*.lock"), *HOUSE.glob("models/*.lock")]:
        text = lock.read_text("utf-8")
        pinned = len(re.findall(r"^\S+==\S+", text, re.MULTILINE))
        assert pinned, lock
        assert "://" not in text
        assert text.count("--hash=sha256:") >= pinned


def test_no_prompt_hides_in_code() -> None:
    """Code never holds a prompt longer than a line: no long text that speaks to a model."""
    speaks = re.compile(r"\b(You are|Answer only|passages below|Return JSON)\b")
    found = []
    for path in files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value.strip():
                is_prompt = speaks.search(node.value) and not isinstance(node, ast.Expr)
                if is_prompt and not node.value.lstrip()[:1].isspace() and "EXAMPLES" not in path.read_text("utf-8"):
                    found.append(f"{name(path)}:{node.lineno}")
    assert found == []
