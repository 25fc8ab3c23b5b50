"""The gate of a release: the desk's dev cases under what serves and under the release, case against case.

Both answer over the articles in the desk's folder, each in a state folder of its own that is removed afterwards, so
that a desk that serves is neither stopped nor written to, but for its budgets, which pay. A version of the knowledge
that is pinned is not there.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from domain.errors import UsageError
from domain.release import Release
from evals.asking import opened
from evals.baseline import Baseline
from evals.run import Result, Run
from evals.suites.desk import Taken, take
from evals.suites.gate import judged
from graph.service import Service


async def hold(run: Run, before: Release, after: Release) -> Result:
    """Hold `after` against `before`: the verdict of the gate. Raises UsageError, StoreError where it can't be measured."""
    async with answering(run, before) as service:
        first = await take(run, service)
        name = service.profile.name
    right = first.right()
    baseline = Baseline(mode="model", cases=list(right), wrong=[case for case, held in right.items() if not held])
    async with answering(run, after) as service:

        async def again() -> Taken:
            return await take(run, service)

        return await judged(name, baseline, again, run.say)


@asynccontextmanager
async def answering(run: Run, release: Release) -> AsyncIterator[Service]:
    """The desk in a folder of its own that goes, over the articles in the desk's folder, answering by a release.

    Raises UsageError without articles, and what opening a desk raises.
    """
    with tempfile.TemporaryDirectory(prefix="frontdesk-gate-") as folder:
        alone = {"home": Path(folder), "rag_config": release.rag_config.partition("@")[0]}
        there = run.settings.model_copy(update=alone)
        async with opened(replace(run, settings=there), beside=run.settings.home) as service:
            if not service.knowledge.version:
                fix = "put the articles into the desk's folder knowledge/"
                raise UsageError("there are no articles to answer from", where=str(service.desk_folder), fix=fix)
            here = {"knowledge": "", "rag_config": service.releases.built_in.rag_config}
            await service.releases.only(release.model_copy(update=here))
            yield service
