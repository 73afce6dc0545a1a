"""What all models share: camelCase names, unknown fields kept, null as absent, and the scalar types of Argo's documents.

The models say what a document may hold; whether it makes sense is for ``flowcore.plan.validate``. Validators are light, because a leaf
template is read again for every node of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, Strict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from flowcore.jsontypes import Json, JsonObject

if TYPE_CHECKING:
    FreeObject = JsonObject
    FreeValue = Json
else:
    FreeObject = dict[str, Any]
    FreeValue = Any


class Model(BaseModel):
    """The base of all models: written in camelCase, read in snake_case; what is not known is kept in ``model_extra``.

    A field given as null counts as absent, as in Kubernetes.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        if type(data) is dict and None in data.values():
            return {key: value for key, value in data.items() if value is not None}
        return data

    def to_json(self) -> JsonObject:
        """The document again, as plain JSON: what was given, unknown fields too, and what was filled in since; nothing that is absent."""
        out: JsonObject = {}
        given, written = self.model_fields_set, written_names(type(self))
        for name, value in self.__dict__.items():
            if value is None or (name not in given and not isinstance(value, (Model, list, dict))):
                continue
            plain = _plain(value)
            if name in given or plain:
                out[written[name]] = plain
        for name, value in (self.model_extra or {}).items():
            out[name] = _plain(value)
        return out


@cache
def written_names(model: type[Model]) -> dict[str, str]:
    """The name in documents of each field of ``model``."""
    return {name: field.alias or name for name, field in model.model_fields.items()}


def _plain(value: object) -> Json:
    """``value`` as JSON; only containers that hold models are copied."""
    if isinstance(value, Model):
        return value.to_json()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return cast("Json", value)


def number_text(value: float) -> str:
    """A number as Argo writes it into a text: without exponent and without needless zeros (``1e3`` is ``1000``, ``1.50`` is ``1.5``)."""
    text = str(value) if isinstance(value, int) else format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def any_string(value: object) -> object:
    """The text of a string, number or bool. Lists and mappings are refused, although Argo drops them without a word."""
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    raise PydanticCustomError("any_string_type", "Input should be a text, a number or a bool")


def int_or_string(value: object) -> object:
    """A whole number of 32 bits or a text, kept as it is."""
    if type(value) is str or (type(value) is int and -(2**31) <= value < 2**31):
        return value
    raise PydanticCustomError("int_or_string_type", "Input should be a whole number or a text")


def number(value: object) -> object:
    """A JSON number, kept as it is."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise PydanticCustomError("number_type", "Input should be a number")


def _null_as_empty(value: object) -> object:
    if isinstance(value, Mapping) and None in value.values():
        return {key: "" if item is None else item for key, item in value.items()}
    return value


def _single_key(value: JsonObject) -> JsonObject:
    if len(value) != 1:
        raise PydanticCustomError("single_key", "expected exactly one key, got {count}", {"count": len(value)})
    return value


AnyString = Annotated[str, BeforeValidator(any_string)]
IntOrString = Annotated[int | str, PlainValidator(int_or_string)]
Amount = Annotated[int | float, PlainValidator(number)]
Bool = Annotated[bool, Strict()]
Int32 = Annotated[int, Strict(), Field(ge=-(2**31), lt=2**31)]
Int64 = Annotated[int, Strict(), Field(ge=-(2**63), lt=2**63)]
UInt64 = Annotated[int, Strict(), Field(ge=0, lt=2**64)]
StringMap = Annotated[dict[str, str], BeforeValidator(_null_as_empty)]
SingleKeyObject = Annotated[FreeObject, AfterValidator(_single_key)]


def alias(name: str, *, default: Any = None) -> Any:
    """A field whose written name is not the camelCase of its Python name (``from``, ``podGC``)."""
    return Field(default=default, alias=name)


def empty_list() -> Any:
    """A list that is empty when the document does not give one."""
    return Field(default_factory=list)


def empty_map() -> Any:
    """A mapping that is empty when the document does not give one."""
    return Field(default_factory=dict)


__all__ = [
    "Amount",
    "AnyString",
    "Bool",
    "FreeObject",
    "FreeValue",
    "Int32",
    "Int64",
    "IntOrString",
    "Model",
    "SingleKeyObject",
    "StringMap",
    "UInt64",
    "alias",
    "any_string",
    "empty_list",
    "empty_map",
    "number_text",
    "written_names",
]
