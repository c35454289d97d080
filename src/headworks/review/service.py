"""Review, as others may call it: judgements of people, and samples drawn for them."""

from __future__ import annotations

from typing import Protocol

from headworks.evaluation.service import Evaluation
from headworks.identity.service import Identity
from headworks.review.judgements import Files, Judgements
from headworks.review.material import Library, Materials
from headworks.review.sampling import Sampling, TraceList
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.traces import TraceReader

__all__ = ["Judgements", "Review", "Sampling"]


class Traces(TraceList, TraceReader, Protocol):
    """Implemented by observability.service.Traces, injected by app.py."""


class Review:
    """What people say of answers."""

    def __init__(  # noqa: PLR0917 -- each is a domain below
        self,
        db: Database,
        keyring: Keyring,
        identity: Identity,
        files: Files,
        traces: Traces,
        evaluation: Evaluation,
        library: Library,
    ) -> None:
        self.judgements = Judgements(db, keyring, identity, files)
        self.sampling = Sampling(db, identity, traces)
        self.materials = Materials(identity, files, traces, evaluation, library)
