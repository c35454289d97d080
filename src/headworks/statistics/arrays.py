"""The kinds of lists that statistics are made of."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int64]
Numbers: TypeAlias = Sequence[float] | Floats
Mask: TypeAlias = npt.NDArray[np.bool_]
Labels: TypeAlias = Sequence[float | None]
"""A human's score of each example, None where there is none."""
Clusters: TypeAlias = Sequence[Hashable] | npt.NDArray[np.generic] | None
"""The name of each example's cluster (its document, its user); None where each is one of its own."""
