"""Which release answers: read from the store at most half a second ago, so that a rollback holds in every replica."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from domain.errors import FrontdeskError, StoreError
from domain.ports import Clock
from domain.release import BUILT_IN, ENVIRONMENTS, Environment, Release, takes_b
from graph.serving import Serving, Variants
from store import Store
from store.experiments import Experiment

FRESH_SECONDS = 0.5
"""How old what serves may be: others see a rollback within this and one turn's step."""
RETRY_SECONDS = 10.0
"""Between two tries to serve a release that cannot be served here."""
KEPT = 6
"""Releases that stay ready beside the built-in one: those that serve, and those that one goes back to."""


@dataclass(frozen=True, slots=True)
class _State:
    """What the store says of this environment."""

    release: str = BUILT_IN
    experiment: Experiment | None = None


class Releases:
    """The releases of a running desk. Belongs to one event loop.

    A turn keeps the release that it began with. One that cannot be served here is not served: the last that could
    goes on, `trouble` says why, and receipts name the one that answered.
    """

    def __init__(
        self, store: Store, variants: Variants, built_in: Release, environment: Environment, clock: Clock
    ) -> None:
        self._store, self._variants, self._clock = store, variants, clock
        self.environment, self.built_in = environment, built_in
        self.base = self._last = variants.built_in()
        self._ready: OrderedDict[str, Serving] = OrderedDict()
        self._failed: dict[str, tuple[float, str]] = {}
        self._state, self._read_at = _State(), float("-inf")
        self._reading, self._building = asyncio.Lock(), asyncio.Lock()
        self._only: Serving | None = None
        self._unread = ""

    @property
    def trouble(self) -> str:
        """Why another release answers than was promoted; empty where it is the right one."""
        names = self._named()
        return self._unread or next((why for name, (_, why) in self._failed.items() if name in names), "")

    @property
    def serving(self) -> str:
        """The release that answered last, or would."""
        return (self._only or self._last).labels.release

    async def choose(self, unit: str) -> Serving:
        """What this customer's turn runs on. Never raises: a turn does not fail by a release."""
        if self._only:
            return self._only
        if self._clock.monotonic() - self._read_at >= FRESH_SECONDS:
            async with self._reading:
                if self._clock.monotonic() - self._read_at >= FRESH_SECONDS:
                    await self.look()
        experiment = self._state.experiment
        if experiment is None:
            self._last = await self._served(self._state.release)
            return self._last
        name = experiment.b if takes_b(unit, experiment.salt, experiment.share) else experiment.a
        serving = await self._served(name)
        if serving.labels.release != name:
            return serving  # it stands in, and belongs to no arm
        return replace(serving, labels=replace(serving.labels, experiment=experiment.name))

    async def look(self) -> None:
        """Read now what serves: after a change of our own nobody waits."""
        try:
            self._state = await asyncio.to_thread(self._read)
            self._unread = ""
        except StoreError as fault:
            self._unread = str(fault)
        self._read_at = self._clock.monotonic()

    async def prepared(self, release: Release) -> Serving:
        """Make a release ready before it serves. Raises UsageError, KnowledgeError or StoreError where it cannot be."""
        if release.name == BUILT_IN:
            return self.base
        async with self._building:
            if release.name not in self._ready:
                self._keep(release.name, await self._variants.build(release))
            return self._ready[release.name]

    async def only(self, release: Release) -> None:
        """Serve this one from now on, whatever the store says: for measuring. Raises as `prepared` does."""
        self._only = self.base if release.name == BUILT_IN else await self._variants.build(release)

    def held(self) -> Sequence[str]:
        """The versions of the knowledge that what serves, or served before it, is pinned to. Blocks."""
        book = self._store.releases
        now = [book.serving(environment) for environment in ENVIRONMENTS]
        names = {each.release for one in now if one.id for each in (one, book.before(one))}
        for one in filter(None, (self._store.experiments.running(each) for each in ENVIRONMENTS)):
            names |= {one.a, one.b}
        return [found for name in names - {BUILT_IN} if (found := book.get(name).release.knowledge)]

    def _read(self) -> _State:
        now = self._store.releases.serving(self.environment)
        return _State(now.release, self._store.experiments.running(self.environment))

    def _named(self) -> frozenset[str]:
        experiment = self._state.experiment
        return frozenset({self._state.release} | ({experiment.a, experiment.b} if experiment else set()))

    async def _served(self, name: str) -> Serving:
        if name == BUILT_IN:
            return self.base
        if name in self._ready:
            self._ready.move_to_end(name)
            return self._ready[name]
        if name in self._failed and self._clock.monotonic() - self._failed[name][0] < RETRY_SECONDS:
            return self._last
        try:
            pinned = await asyncio.to_thread(self._store.releases.get, name)
            serving = await self.prepared(pinned.release)
        except FrontdeskError as fault:
            structlog.get_logger().error("release not served", release=name, error=type(fault).__name__)
            self._failed[name] = (self._clock.monotonic(), str(fault))
            return self._last
        self._failed.pop(name, None)
        return serving

    def _keep(self, name: str, serving: Serving) -> None:
        self._ready[name] = serving
        while len(self._ready) > KEPT:
            self._ready.popitem(last=False)
