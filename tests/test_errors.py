from __future__ import annotations

import inspect
import re

import pytest

from headworks import errors
from headworks.errors import HeadworksError, NotFound, UpstreamRejected

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, HeadworksError)]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_error_stands_in_the_picture_with_its_status(cls: type[HeadworksError]) -> None:
    picture = errors.__doc__ or ""
    line = next(line for line in picture.splitlines() if re.search(rf"\b{cls.__name__}\b", line))
    status = re.search(r"\b([45]\d\d)\b", line)
    assert status is None or int(status.group(1)) == cls.status


def test_an_error_has_all_four_keys_of_openai_and_says_what_to_do() -> None:
    error = NotFound("There is no model `x`.", next_step="Did you mean `y`?", param="model")
    assert error.as_openai() == {
        "error": {
            "message": "There is no model `x`. Did you mean `y`?",
            "type": "invalid_request_error",
            "param": "model",
            "code": "not_found",
        }
    }


def test_a_providers_own_error_keeps_its_status_body_and_headers() -> None:
    error = UpstreamRejected(429, b'{"error": {}}', {"retry-after": "7"})
    assert (error.status, error.body, error.headers["retry-after"]) == (429, b'{"error": {}}', "7")
