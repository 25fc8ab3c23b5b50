"""The answer cache of one desk, as the settings have it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from domain.ports import CacheKey, Embedder
from domain.receipt import MICRO
from domain.settings import Settings
from domain.turn import Language
from graph.record import Labels
from models.answer_cache import AnswerCache
from nodes.deps import Deps
from store import Store
from tracing import Metrics


def open_cache(settings: Settings, embedder: Embedder, store: Store, metrics: Metrics) -> AnswerCache | None:
    """Answers that may be given again, with what they save in the metrics; None where the settings keep none."""
    if not settings.cache_hours:
        return None
    answers = store.answers(timedelta(hours=settings.cache_hours))
    about = "Money that answers kept now have saved by being given again."
    metrics.watch("frontdesk_cache_saved_usd", about, (), lambda: {(): answers.books().saved_microusd / MICRO})
    return AnswerCache(answers, embedder)


def with_cache(deps: Deps, cache: AnswerCache | None, labels: Labels, knowledge: Callable[[], str]) -> Deps:
    """The deps of a graph that asks the cache first, within the bounds of this desk as it is now.

    `knowledge` gives the version that is searched; desk.yaml's contact is answered beside it, so it bounds as well.
    """
    contact = hashlib.sha256(deps.profile.contact.model_dump_json().encode()).hexdigest()[:8]

    def cache_key(language: Language, prompt: str, model: str) -> CacheKey:
        known = f"{knowledge()}+{contact}"
        return CacheKey(labels.desk, labels.release, known, language, labels.rag_config, prompt, model)

    return replace(deps, cache=cache, cache_key=cache_key) if cache else deps
