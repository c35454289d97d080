"""The words in which providers report errors, as tables, and their reading out of any JSON.

Read from the vendors' documentation and SDKs, and from the sources of vLLM, SGLang, TGI, llama.cpp and Ollama.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from headworks.types.failing import FailureClass

_DEEPEST = 6
_MOST_ITEMS = 32
_MOST_TEXT = 16_384
_WORDS = frozenset(("code", "type", "status", "reason", "error_type", "__type", "error_code"))
_TEXTS = frozenset(("message", "error", "detail", "msg", "raw", "description", "error_description", "title", "errors"))
_INSIDE = frozenset(
    (
        "error", "errors", "innererror", "inner_error", "response", "detail", "details", "metadata", "violations",
        "cause", "incomplete_details",
    )
)  # fmt: skip


class Said:
    """What an error says: its `words` (lower-case letters and digits only), the `numbers` among them, its `texts`."""

    def __init__(self) -> None:
        self.words: set[str] = set()
        self.numbers: list[int] = []
        self.texts: list[str] = []

    @property
    def text(self) -> str:
        """All texts, up to a length."""
        return "\n".join(self.texts)[:_MOST_TEXT]

    def word(self, given: str) -> None:
        """A word as it stands there, with the name space and the address that Amazon puts around it."""
        word = re.sub(r"[^a-z0-9]", "", given[:200].partition(":")[0].rpartition("#")[2].lower())
        if word.isdecimal() and len(word) == 3:
            self.numbers.append(int(word))
        elif word:
            self.words.add(word)

    def read_json(self, body: bytes | msgspec.Raw) -> None:
        """As `read`; what is no JSON says nothing."""
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.read(msgspec.json.decode(body))

    def read(self, value: Any, depth: int = 0) -> None:  # noqa: ANN401 -- any JSON
        """Take words and texts out of the places where errors have them."""
        if depth > _DEEPEST:
            return
        if isinstance(value, list):
            for each in value[:_MOST_ITEMS]:
                self.read(each, depth + 1)
        elif isinstance(value, dict):
            for key, each in list(value.items())[:_MOST_ITEMS]:
                self._take(key.lower(), each, depth)

    def _take(self, key: str, value: Any, depth: int) -> None:  # noqa: ANN401 -- any JSON
        if isinstance(value, str):
            if key in _WORDS:
                self.word(value)
            elif key == "quotaid" and "PerDay" in value:  # Google's, like GenerateRequestsPerDayPerProject-FreeTier
                self.words.add("perday")
            if key in _TEXTS or key == "code":  # xAI's code is a sentence
                self.texts.append(value)
        elif isinstance(value, int) and key in _WORDS:
            self.word(str(value))
        elif key in _INSIDE:
            self.read(value, depth + 1)


def _known(words: str) -> frozenset[str]:
    return frozenset(words.replace("_", "").lower().split())


FIRM: Final[Mapping[FailureClass, frozenset[str]]] = {
    "content_policy": _known(
        "content_filter content_policy_violation ResponsibleAIPolicyViolation content_policy moderation_blocked"
        " data_inspection_failed image_content_policy_violation safety_violation invalid_prompt PROHIBITED_CONTENT"
        " content_filtered contentFilter bio_policy cyber_policy sensitive_content"
    ),
    "context_window": _known(
        "context_length_exceeded exceed_context_size_error request_too_large"
        " context_window_exceeded model_context_window_exceeded max_tokens_exceeded input_too_long"
    ),
    "quota": _known(
        "insufficient_quota billing_hard_limit_reached billing_not_active billing_error spend_limit_reached"
        " spend_limit_exceeded quota_exceeded insufficient_balance insufficient_credits payment_required perday"
        " BILLING_DISABLED ServiceQuotaExceededException credit_balance_too_low usage_limit_reached"
    ),
    "auth": _known(
        "invalid_api_key authentication_error permission_error PERMISSION_DENIED UNAUTHENTICATED API_KEY_INVALID"
        " API_KEY_SERVICE_BLOCKED SERVICE_DISABLED CONSUMER_SUSPENDED AccessDenied AccessDeniedException"
        " UnrecognizedClientException ExpiredToken ExpiredTokenException InvalidSignatureException"
        " IncompleteSignature MissingAuthenticationToken MissingAuthenticationTokenException InvalidClientTokenId"
        " account_deactivated organization_deactivated mismatched_organization invalid_organization"
        " unsupported_country_region_territory insufficient_permissions invalid_authentication"
        " invalid_request_signature forbidden unauthorized"
    ),
    "no_model": _known(
        "model_not_found model_not_available DeploymentNotFound not_found_error NotFoundError NOT_FOUND"
        " ResourceNotFoundException UnknownModel unknown_model model_not_supported model_deprecated"
        " model_decommissioned model_terms_required invalid_model"
    ),
}
"""Words that stand for one thing whatever the status, in the order in which they decide."""

LOOSE: Final[Mapping[FailureClass, frozenset[str]]] = {
    "rate_limit": _known(
        "rate_limit_exceeded rate_limit_error rate_limited rate_limit RESOURCE_EXHAUSTED ThrottlingException"
        " too_many_requests TooManyRequestsException RateLimitReached throttled concurrency_limit_exceeded"
    ),
    "timeout": _known(
        "timeout timeout_error gateway_timeout DEADLINE_EXCEEDED ModelTimeoutException request_timeout"
        " operation_timeout"
    ),
    "server_error": _known(
        "server_error internal_server_error InternalServerError InternalServerException internal_error INTERNAL"
        " internal_failure overloaded overloaded_error engine_overloaded model_overloaded slow_down UNAVAILABLE"
        " service_unavailable ServiceUnavailable ServiceUnavailableException ServiceUnavailableError"
        " ModelErrorException ModelStreamErrorException ModelNotReadyException capacity_exceeded over_capacity"
        " generation incomplete_generation server_overloaded no_capacity"
    ),
}
"""As above, where no phrase says something else."""

OF_THE_CALLER: Final = _known(
    "invalid_request_error BadRequestError bad_request INVALID_ARGUMENT ValidationException validation"
    " validation_error invalid_request OUT_OF_RANGE unprocessable_entity UnprocessableEntityError"
    " MalformedInputException invalid_request_prompt"
)
"""Said of anything that is wrong with a request: heard only where the status says nothing."""

USED_UP: Final = re.compile(
    r"credit balance is too low|insufficient (?:balance|credits?|funds)|spending limit|spend limit"
    r"|usage limits?\. you will regain|exceeded your (?:monthly|included) |out of credits|requires more credits"
    r"|billing hard limit|used all available credits",
    re.IGNORECASE,
)

_TOO_LONG = re.compile(
    r"maximum context length|prompt is too long|input is too long"
    r"|exceeds? (?:the )?context (?:limit|length|window|size)"
    r"|exceeds the maximum number of tokens|only supports up to \d+|too many input tokens|too many tokens: "
    r"|maximum prompt length|longer than the (?:model'?s context length|maximum model length)"
    r"|exceeds the (?:available context size|context length|model'?s (?:maximum )?context)|input length exceeds"
    r"|must have less than \d+ tokens|`inputs` tokens \+ `max_new_tokens` must be"
    r"|reduce the length of the (?:messages|prompt)"
    r"|context[ _](?:window|length) (?:is )?exceeded|expected maxLength: \d+|request_too_large",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(
    r"content management policy|content filtering policy|flagged (?:as|for|by)\b|input was flagged|content exists risk"
    r"|usage guidelines|violat\w+ (?:our|the|openai'?s|anthropic'?s) (?:usage|content|acceptable use) polic"
    r"|safety system|blocked by (?:our )?content|inappropriate content|prohibited content",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"\bmodels?\b.{0,200}?(?:not found|does not exist|doesn't exist|is not supported for|has been deprecated"
    r"|has been decommissioned|identifier is invalid|not a valid model)|invalid model (?:name|id|identifier)"
    r"|is not a valid model id|on-demand throughput isn.t supported|deployment for this resource does not exist"
    r"|reached the end of its life",
    re.IGNORECASE | re.DOTALL,
)
_NOT_US = re.compile(
    r"api key not valid|user location is not supported|incorrect api key|invalid api key", re.IGNORECASE
)

PHRASES: Final[tuple[tuple[FailureClass, re.Pattern[str]], ...]] = (
    ("quota", USED_UP),
    ("context_window", _TOO_LONG),
    ("content_policy", _FORBIDDEN),
    ("auth", _NOT_US),
    ("no_model", _NO_MODEL),
)
"""What messages say, in the order in which it decides."""

WHERE: Final[Mapping[FailureClass, tuple[int, ...]]] = {
    "auth": (400, 401, 403, 502),
    "no_model": (400, 403, 404, 422, 502),
    "content_policy": (400, 403, 422, 451, 500, 502),
}
"""Under which statuses a phrase is believed, where not under all."""
