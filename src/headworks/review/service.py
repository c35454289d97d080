"""Review, as others may call it: judgements of people, and samples drawn for them."""

from __future__ import annotations

from headworks.identity.service import Identity
from headworks.review.judgements import Files, Judgements
from headworks.review.sampling import Sampling, TraceList
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring

__all__ = ["Judgements", "Review", "Sampling"]


class Review:
    """What people say of answers."""

    def __init__(self, db: Database, keyring: Keyring, identity: Identity, files: Files, traces: TraceList) -> None:
        self.judgements = Judgements(db, keyring, identity, files)
        self.sampling = Sampling(db, identity, traces)
