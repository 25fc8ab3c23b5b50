"""Requests made from an OpenAPI description: as it allows them, and nearly so."""

import json
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

FOR_READERS = ("title", "description", "examples", "example", "default")
METHODS = ("get", "post", "delete", "head", "put", "patch")
ODD = st.sampled_from(
    ["", " ", "\0", "\r\nX-Evil: 1", "../../etc/passwd", "..\\..\\x", "%2e%2e%2f", "'; DROP TABLE threads; --", "x" * 300,
     "${jndi:ldap://x}", "{{7*7}}", "\ud7ff", "ế" * 80, "-1", "1e999", "NaN", "true", "[]", "0190aaaa", "\u202eevil"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def from_schema(schema: dict[str, Any]) -> st.SearchStrategy[Any]:  # noqa: PLR0911  # one a kind of schema
    """Values of a schema as pydantic writes them: what is not listed here does not stand in our description."""
    match schema:
        case {"anyOf": choices}:
            return st.one_of([from_schema(choice) for choice in choices])
        case {"enum": values}:
            return st.sampled_from(values)
        case {"const": value}:
            return st.just(value)
        case {"type": "string"}:
            sizes = {"min_size": schema.get("minLength", 0), "max_size": min(schema.get("maxLength", 60), 300)}
            return st.text(**sizes) | st.sampled_from(["Where is my parcel?", "Đổi hàng mất bao lâu?"])
        case {"type": "array", "items": items}:
            return st.lists(from_schema(items), min_size=schema.get("minItems", 0), max_size=3)
        case {"type": "object", "properties": fields}:
            needed = set(schema.get("required", []))
            made = {name: from_schema(field) for name, field in fields.items()}
            return st.fixed_dictionaries(
                {name: value for name, value in made.items() if name in needed},
                optional={name: value for name, value in made.items() if name not in needed},
            )
        case {"type": kind}:
            return {"boolean": st.booleans(), "integer": st.integers(), "number": st.floats(), "null": st.none()}[kind]
    raise AssertionError(schema)


class Description:
    """An OpenAPI description as a maker of requests."""

    def __init__(self, openapi: dict[str, Any]) -> None:
        self._openapi = openapi

    def operations(self) -> list[tuple[str, str]]:
        """Every (method, path)."""
        return [(method, path) for path, item in self._openapi["paths"].items() for method in item if method in METHODS]

    def statuses(self, method: str, path: str) -> set[str]:
        """Those that the operation is said to answer with."""
        return set(self._openapi["paths"][path][method]["responses"])

    def requests(self, method: str, path: str) -> st.SearchStrategy[dict[str, Any]]:
        """Keyword arguments for a client's `request`: half of them as described, half with something odd in them."""
        operation = self._openapi["paths"][path][method]
        fields = [
            (each["in"], each["name"], _value(self._whole(each["schema"]))) for each in operation.get("parameters", [])
        ]
        body = None
        if "requestBody" in operation:
            body = _value(self._whole(operation["requestBody"]["content"]["application/json"]["schema"]))

        @st.composite
        def made(draw: st.DrawFn) -> dict[str, Any]:
            odd = draw(st.booleans())
            params, headers, at = {}, {}, path
            for place, name, values in fields:
                value = draw(values[odd])
                if value is None and place != "path":
                    continue
                text = value if isinstance(value, str) else json.dumps(value)
                match place:
                    case "path":
                        at = at.replace(f"{{{name}}}", quote(text, safe=""))
                    case "query":
                        params[name] = text
                    case _:
                        headers[name] = "".join(sign for sign in text if " " <= sign <= "~").strip()
            request: dict[str, Any] = {"method": method.upper(), "url": at, "params": params, "headers": headers}
            if body:
                request["content"] = json.dumps(draw(body[odd])).encode()
                headers["Content-Type"] = "application/json"
            return request

        return made()

    def _whole(self, schema: Any) -> Any:
        """A schema with what it refers to in its place, without words for readers."""
        match schema:
            case {"$ref": reference}:
                return self._whole(self._openapi["components"]["schemas"][reference.rpartition("/")[2]])
            case dict():
                return {name: self._whole(value) for name, value in schema.items() if name not in FOR_READERS}
            case list():
                return [self._whole(value) for value in schema]
            case _:
                return schema


def _value(schema: dict[str, Any]) -> tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]:
    """Values as described, and odd ones."""
    right = from_schema(schema)

    @st.composite
    def odd(draw: st.DrawFn) -> Any:
        value = draw(right)
        if isinstance(value, dict) and draw(st.booleans()):
            return value | {draw(st.sampled_from([*value, "extra"])): draw(ODD | JSON)}
        return draw(ODD | JSON)

    return right, odd()


def made_requests(description: Description, method: str, path: str, *, examples: int) -> list[dict[str, Any]]:
    """So many requests for one operation."""
    made: list[dict[str, Any]] = []

    @settings(max_examples=examples, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(description.requests(method, path))
    def make(request: dict[str, Any]) -> None:
        made.append(request)

    make()
    return made


def check_answer(answer: httpx.Response, request: dict[str, Any], documented: set[str]) -> None:
    """Fail unless it is a documented answer, and an error a problem that says nothing of our insides."""
    assert answer.status_code < 500, (request, answer.text)
    assert str(answer.status_code) in documented | {"404"}, (request, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
        assert "Traceback" not in answer.text
