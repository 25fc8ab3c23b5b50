"""Postgres, Redis, Chroma and a model behind TLS of a private authority: taken by the documented setting, else one clear line.

Where a server of the tests speaks no TLS itself, a real handshake stands before it (`TlsFront`).
"""

import asyncio
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cluster import running_chroma
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fakes import FrozenClock
from places import PostgresServer, running_redis
from test_models_chat import row, said
from test_store import fails_in_one_line

from api.limits import RateLimits
from cli.health import check_model, check_redis
from domain.errors import SettingsError, StoreError
from domain.settings import read_settings
from domain.turn import Message
from graph.threads import open_saver
from models.catalog import Endpoint, Route
from models.openai_wire import Wire
from models.wire import WireError
from retrieval.vectors import ServerPlace, VectorStore
from store import Store
from store.leases import connect_redis

HOST = "127.0.0.1"
KINDS = ("good", "expired", "elsewhere")
REFUSALS = ("stranger", "expired", "elsewhere")
TROUBLE = {
    "stranger": ("signed by nobody that is trusted here", "name its authority's PEM file in"),
    "expired": ("has expired", "new certificate"),
    "elsewhere": ("for another name", "a name in its certificate"),
}


@dataclass(frozen=True)
class Papers:
    """`trusted`: the authority that signed; `stranger`: another one. `servers`: certificate and key in a file, by kind."""

    trusted: Path
    stranger: Path
    servers: dict[str, Path]

    def authority(self, kind: str) -> Path:
        """The one that a client is given."""
        return self.stranger if kind == "stranger" else self.trusted


def _sign(name: str, issuer: Any = None, *, host: str = "", ends: timedelta = timedelta(days=1)) -> tuple[Any, Any]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer_name, signer_key = (issuer[0].subject, issuer[1]) if issuer else (own, key)
    made = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(signer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()), critical=False)
    )
    if issuer is None:
        usage = x509.KeyUsage(*(name in ("sign", "crl") for name in "sign no no no no sign crl no no".split()))  # noqa: SIM905
        made = made.add_extension(usage, critical=True)
    else:
        where = x509.IPAddress(ipaddress.ip_address(host)) if host else x509.DNSName("elsewhere.example")
        made = made.add_extension(x509.SubjectAlternativeName([where]), critical=False)
    return made.sign(signer_key, hashes.SHA256()), key


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    authority, other = _sign("Our authority"), _sign("Another authority")
    for name, (certificate, _) in (("trusted", authority), ("stranger", other)):
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    servers = {}
    for kind in KINDS:
        ends = timedelta(days=-2) if kind == "expired" else timedelta(days=1)
        certificate, key = _sign("a server", authority, host="" if kind == "elsewhere" else HOST, ends=ends)
        servers[kind] = folder / f"{kind}.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        servers[kind].write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return Papers(folder / "trusted.pem", folder / "stranger.pem", servers)


@dataclass
class TlsFront:
    """Ends TLS before a server: what comes through is passed on as it is. `asked_first`: Postgres' own way to begin."""

    paper: Path
    behind: Callable[[], socket.socket] | None = None
    asked_first: bool = False
    _open: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.paper)
        self._server = socket.create_server((HOST, 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        for one in (self._server, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._server.accept()
                self._open.append(plain)
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with suppress(OSError), plain:
            if self.asked_first:
                plain.recv(8)
                plain.sendall(b"S")
            with self._context.wrap_socket(plain, server_side=True) as client:
                self._open.append(client)
                if self.behind is None:  # a client that looks at the certificate only now
                    return
                with self.behind() as server:
                    self._open.append(server)
                    back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
                    back.start()
                    _pass_on(client, server)
                    back.join()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
    for each in (one, other):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def front(
    paper: Path, behind: Callable[[], socket.socket] | None = None, *, asked_first: bool = False
) -> Iterator[int]:
    made = TlsFront(paper, behind, asked_first)
    try:
        yield made.port
    finally:
        made.close()


def unix(path: str) -> Callable[[], socket.socket]:
    def connect() -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.connect(path)
        return made

    return connect


# ---- Postgres


def postgres_url(port: int, authority: Path, database: str = "desk") -> str:
    return f"postgresql://postgres@{HOST}:{port}/{database}?sslmode=verify-full&sslrootcert={authority}"


def test_a_postgres_behind_tls_of_a_private_authority(papers: Papers, postgres: PostgresServer, tmp_path: Path) -> None:
    address = urlsplit(postgres.migrated())
    behind = unix(f"{parse_qs(address.query)['host'][0]}/.s.PGSQL.5432")

    async def conversations(url: str) -> bool:
        async with AsyncExitStack() as opened:
            saver = await open_saver(tmp_path, opened, url)
            return await saver.aget_tuple({"configurable": {"thread_id": "t"}}) is None

    with front(papers.servers["good"], behind, asked_first=True) as port:
        url = postgres_url(port, papers.trusted, address.path.strip("/"))
        store = Store.open(tmp_path, FrozenClock(), url=url)
        store.threads.claim("t", "mai")
        assert store.threads.belongs("t", "mai")
        assert asyncio.run(conversations(url))
        store.close()


@pytest.mark.parametrize(
    ("kind", "what", "fix"),
    [
        ("stranger", "certificate verify failed", "sslrootcert in FRONTDESK_DATABASE_URL names"),
        ("expired", "certificate verify failed", "has expired or"),
        ("elsewhere", "does not match host name", "a name in its certificate"),
    ],
)
def test_a_postgres_whose_certificate_is_not_right(
    papers: Papers, tmp_path: Path, kind: str, what: str, fix: str
) -> None:
    with front(papers.servers.get(kind, papers.servers["good"]), asked_first=True) as port:
        url = postgres_url(port, papers.authority(kind))
        fails_in_one_line(tmp_path, f"{HOST}/desk", what, fix, url=url)


def test_an_authority_of_postgres_that_is_not_there(papers: Papers, tmp_path: Path) -> None:
    with front(papers.servers["good"], asked_first=True) as port:
        url = postgres_url(port, tmp_path / "none.pem")
        fails_in_one_line(tmp_path, "none.pem", "sslrootcert in FRONTDESK_DATABASE_URL must name", url=url)


# ---- Redis


def redis_url(port: int, authority: Path) -> str:
    return f"rediss://{HOST}:{port}/0?ssl_ca_certs={authority}"


@pytest.mark.slow
def test_a_redis_behind_tls_of_a_private_authority(papers: Papers) -> None:
    async def counted(url: str) -> bool:
        limits = RateLimits({"user": "9/minute"}, FrozenClock(), url)
        try:
            quota = await limits._count("user", "ann")
            part = limits.part()
        finally:
            await limits.aclose()
        return bool(quota and quota.left == 8 and part and part.state == "ok")

    with running_redis() as plain, front(papers.servers["good"], unix(urlsplit(plain).path)) as port:
        url = redis_url(port, papers.trusted)
        with connect_redis(url) as client:
            assert client.ping()
        assert asyncio.run(counted(url))
        assert check_redis(read_settings(redis_url=url)).state == "ok"


@pytest.mark.parametrize("kind", REFUSALS)
def test_doctor_says_what_is_wrong_with_the_certificate_of_a_redis(papers: Papers, kind: str) -> None:
    what, fix = TROUBLE[kind]
    with front(papers.servers.get(kind, papers.servers["good"])) as port:
        check = check_redis(read_settings(redis_url=redis_url(port, papers.authority(kind))))
    assert check.state == "degraded"
    assert what in check.detail
    assert fix in check.fix
    assert "\n" not in str(check)


# ---- Chroma


@pytest.mark.slow
def test_a_chroma_behind_tls_of_a_private_authority(papers: Papers, tmp_path: Path) -> None:
    with running_chroma(tmp_path) as plain:
        port = urlsplit(plain).port

        with front(papers.servers["good"], lambda: socket.create_connection((HOST, port))) as tls:
            store = VectorStore(ServerPlace(f"https://{HOST}:{tls}", "frontdesk-test", str(papers.trusted)))
            assert store.names() == []
            store.close()


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_chroma_whose_certificate_is_not_right(papers: Papers, kind: str) -> None:
    with front(papers.servers.get(kind, papers.servers["good"])) as port:
        url = f"https://{HOST}:{port}"
        with pytest.raises(StoreError) as refused:
            VectorStore(ServerPlace(url, "frontdesk-test", str(papers.authority(kind))))
    line = str(refused.value)
    assert [part in line for part in (url, *TROUBLE[kind], "\n")] == [True, True, True, False]
    assert ("FRONTDESK_CA_FILE" in line) == (kind == "stranger")


# ---- a model


class Model(BaseHTTPRequestHandler):
    """Says "fine", and that there are models."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._say(said("fine"))

    def do_GET(self) -> None:
        self._say({"data": []})

    def log_message(self, *_: Any) -> None: ...

    def _say(self, what: dict[str, Any]) -> None:
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@asynccontextmanager
async def wire_to(port: int, authority: str) -> AsyncIterator[Wire]:
    place = Endpoint("custom", f"https://{HOST}:{port}/v1", "local", "k", private=True, ca_file=authority)
    wire = Wire(Route(row(), place))
    try:
        yield wire
    finally:
        await wire.aclose()


async def ask(port: int, authority: str) -> str:
    async with wire_to(port, authority) as wire:
        return (await wire.ask([Message("user", "how are you?")], max_tokens=5, gone=lambda: None)).text


def at(port: int, authority: Path) -> Any:
    return read_settings(llm="auto", llm_base_url=f"https://{HOST}:{port}/v1", llm_model="m", ca_file=str(authority))


def test_a_model_behind_tls_of_a_private_authority(papers: Papers) -> None:
    with ThreadingHTTPServer((HOST, 0), Model) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with front(papers.servers["good"], lambda: socket.create_connection(server.server_address)) as port:
            assert asyncio.run(ask(port, str(papers.trusted))) == "fine"
            assert asyncio.run(check_model(at(port, papers.trusted))).state == "ok"
        server.shutdown()


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_model_whose_certificate_is_not_right(papers: Papers, kind: str) -> None:
    what, fix = TROUBLE[kind]
    with front(papers.servers.get(kind, papers.servers["good"])) as port:
        with pytest.raises(WireError) as refused:
            asyncio.run(ask(port, str(papers.authority(kind))))
        check = asyncio.run(check_model(at(port, papers.authority(kind))))
    assert what in refused.value.what
    assert fix in refused.value.fix
    assert not refused.value.retry
    assert check.state == "degraded"
    assert what in check.detail
    assert fix in check.fix


def test_a_server_that_speaks_no_tls_is_said_to_speak_none() -> None:
    with ThreadingHTTPServer((HOST, 0), Model) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with pytest.raises(WireError, match="TLS") as refused:
            asyncio.run(ask(server.server_port, ""))
        assert "does the server speak TLS on this port?" in refused.value.fix
        server.shutdown()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_authorities_that_is_none(tmp_path: Path, content: str | None) -> None:
    named = tmp_path / "ca.pem"
    if content is not None:
        named.write_text(content)
    with pytest.raises(SettingsError, match=r"FRONTDESK_CA_FILE.*no readable file of PEM certificates"):
        read_settings(ca_file=str(named))
