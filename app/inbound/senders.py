"""Senders of any kind, which say by the options of their source how they are verified."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.inbound.schemes import (
    Algorithm,
    Basic,
    Encoding,
    Hmac,
    Scheme,
    SecretHeader,
    SecretInUrl,
    StandardWebhooks,
    TimeForm,
    dotted_time_and_body,
    time_and_body,
)

HeaderName = Annotated[str, Field(min_length=1, max_length=100, pattern="^[A-Za-z0-9-]+$")]
SchemeName = Literal["hmac", "standard_webhooks", "basic", "secret_header", "secret_in_url"]
_PRIVATE = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})


class SenderOptions(BaseModel):
    """How a sender is verified."""

    model_config = ConfigDict(extra="forbid", strict=True)

    scheme: SchemeName = Field(
        "hmac",
        description="`hmac`: a keyed hash of the body in `header`. `standard_webhooks`: the specification of that name. For "
        "senders that cannot sign: `basic` (HTTP Basic), `secret_header` (the secret itself in `header`), `secret_in_url` "
        "(`?secret=`).",
    )
    header: HeaderName = Field("X-Signature", description="The header of the hash or of the secret.")
    prefix: str = Field(
        "",
        max_length=50,
        description="What stands before the hash or secret in that header, such as `sha256=` or `Bearer `.",
    )
    algorithm: Algorithm = Field("sha256", description="The hash function.")
    encoding: Encoding = Field("hex", description="How the hash is written in the header.")
    time_header: HeaderName | None = Field(
        None,
        description="The header of the time that is signed with the body. Without one, a copy of an old request is accepted "
        "(its events are duplicates).",
    )
    time_form: TimeForm = Field(
        "seconds", description="The form of that time: `seconds` or `milliseconds` since 1970, or `iso` (RFC 3339)."
    )
    signs: Literal["time_and_body", "time.body"] = Field(
        "time.body", description="Whether a dot stands between the time and the body that are signed."
    )
    headers: list[HeaderName] = Field(
        default_factory=list, max_length=20, description='Headers to keep, for expressions: `headers."x-topic"`.'
    )
    may_backdate: bool = Field(
        False, description="Whether events may say when they were recorded, as with a key of the scope admin."
    )

    @model_validator(mode="after")
    def _check_headers(self) -> "SenderOptions":
        secret = {self.header.lower()} if self.scheme == "secret_header" else set()
        if {name.lower() for name in self.headers} & (_PRIVATE | secret):
            raise PydanticCustomError("secret_header", "A header with a secret cannot be kept.")
        return self


def scheme_of_sender(options: Any) -> Scheme:
    """Return the scheme that the options of a source say."""
    match options.scheme:
        case "standard_webhooks":
            return StandardWebhooks()
        case "basic":
            return Basic()
        case "secret_header":
            return SecretHeader(options.header, options.prefix)
        case "secret_in_url":
            return SecretInUrl()
    scheme = Hmac(options.header, options.algorithm, options.encoding, options.prefix)
    if options.time_header is None:
        return scheme
    is_dotted = options.signs == "time.body"
    return Hmac(
        options.header,
        options.algorithm,
        options.encoding,
        options.prefix,
        options.time_header,
        options.time_form,
        dotted_time_and_body if is_dotted else time_and_body,
        "time, dot and body" if is_dotted else "time and body",
    )
