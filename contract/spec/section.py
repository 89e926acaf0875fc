"""What every section of models.yaml shares: frozen, strict, and kinds of values that recur."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from contract.quantity import problem

__all__ = [
    "AT_LEAST_ONE",
    "BareSecretFile",
    "ExistingFile",
    "ProfilePath",
    "SecretFile",
    "Section",
    "WebUrl",
    "Word",
    "as_list",
    "as_tuple",
]


class Section(BaseModel):
    """A mapping in models.yaml: frozen, and an unknown key in it is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,  # for models.schema.json and docs/models.md
    )

    def over(self, below: Self) -> Self:
        """This section laid over `below`: what it sets wins, the rest comes from below."""
        merged = {name: getattr(self, name) for name in self.model_fields_set}
        return below.model_copy(update=merged)


def _existing(value: object, info: ValidationInfo, hint: str = "") -> str:
    """A path relative to the folder of models.yaml; that the file exists is part of being valid.

    Without a `root` in the context (a spec made in a test, say) nothing is looked up.
    """
    if not isinstance(value, str) or not value:
        raise problem(f"is not a path: {value!r}")
    context = info.context or {}
    if "root" in context and not (context["root"] / value).is_file():
        raise problem(
            f"no such file: {value}", hint or f"paths start at the folder of {context['file']}"
        )
    return value


def _existing_secret(value: object, info: ValidationInfo) -> str:
    path = _existing(value, info)
    if (root := (info.context or {}).get("root")) and not (root / path).stat().st_size:
        raise problem(f"is empty: {path}", "write the secret into it")
    return path


def _existing_bare_secret(value: object, info: ValidationInfo) -> str:
    """Alertmanager 0.25 sends Opsgenie's key as the file has it, and a line break is no header."""
    path = _existing_secret(value, info)
    if root := (info.context or {}).get("root"):
        content = (root / path).read_bytes()
        if content != content.strip():
            raise problem(
                f"holds white space around the secret: {path}",
                "write it without a line break: printf %s KEY > FILE",
            )
    return path


def _existing_profile(value: object, info: ValidationInfo) -> str:
    build = "build it: python -m exporters.drift profile --data train.csv --model NAME"
    path = _existing(value, info, build)
    if root := (info.context or {}).get("root"):
        # Imported here: profiles need numpy, and many readers of the spec's types do not.
        from contract.profile import ProfileError, read_profile

        try:
            read_profile(root / path)
        except ProfileError as error:
            raise problem(f"is not a profile: {error}", build) from None
    return path


def _web_url(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^/?#\s]+[^\s]*", value):
        raise problem(f"is not an address: {value!r}", "write https://example.com/path")
    if "@" in value.split("/")[2]:
        raise problem("holds a user or password", "put the secret into a file: token_file")
    return value


ExistingFile = Annotated[str, BeforeValidator(_existing)]
SecretFile = Annotated[str, BeforeValidator(_existing_secret)]
BareSecretFile = Annotated[str, BeforeValidator(_existing_bare_secret)]
WebUrl = Annotated[str, BeforeValidator(_web_url)]
ProfilePath = Annotated[str, BeforeValidator(_existing_profile)]


def as_list(value: object) -> object:
    """One mapping stands for a list of one."""
    return (
        (value,)
        if isinstance(value, dict | Section)
        else tuple(value)
        if isinstance(value, list)
        else value
    )


def as_tuple(value: object) -> object:
    """A list of YAML as a tuple, which is frozen."""
    return tuple(value) if isinstance(value, list) else value


# Checked after the items, so that a wrong one is not also a missing one; pydantic leaves it out
# of the schema then.
AT_LEAST_ONE: Final[Any] = Field(min_length=1, json_schema_extra={"minItems": 1})


Word = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=60, examples=["page_views"])
]
