"""Every public docstring is a contract: arguments, results with shapes and dtypes, units, errors, sources.

What is public: the names of the facades, with every method of the package that their classes inherit; the hooks; the
conformance kit; the errors. A docstring may leave arguments to another one that it names ("those of :meth:`encode`").
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import enum
import importlib
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import docstring_parser
import pytest

import FlagEmbedding
from FlagEmbedding import errors, plugins, testing
from FlagEmbedding.inference.embedder import model_mapping
from FlagEmbedding.plugins import hookspecs
from FlagEmbedding.registry.extensions import exported_names

OURS = ("FlagEmbedding", "flagembedding_")
ELSEWHERE = re.compile(r"(?:those\s+of|as\s+for|as)\s+((?:[\s,;]|and|:(?:class|meth):`~?[\w.]+`)+)", re.IGNORECASE)
ROLE = re.compile(r":(?:class|meth):`~?([\w.]+)`")
SHAPE = re.compile(r"\[[a-z_ ,0-9+*-]+\]|scalar|\bempty\b")
DTYPE = re.compile(r"\b(float32|float64|int64|bool|floating-point)\b")
UNIT = re.compile(
    r"\b(tokens?|texts?|pairs?|passages?|queries|documents?|layers?|components?|dimensions?|seconds?|bytes|characters?|"
    r"processes|workers|threads|rows|width|weights|files|models)\b",
    re.IGNORECASE,
)
SOURCE = re.compile(r"arXiv|https?://|model card|\bcards?\b|published|FlagEmbedding 1\.")


@dataclass(frozen=True)
class Documented:
    """A callable with its docstring; of a class, that of ``__init__`` and the class's."""

    name: str
    call: Any
    text: str
    owner: type | None = None

    @property
    def is_class(self) -> bool:
        return isinstance(self.call, type)

    @property
    def signature(self) -> inspect.Signature | None:
        call = vars(self.call).get("__init__") if self.is_class else self.call
        return inspect.signature(call) if isinstance(call, types.FunctionType) else None


@cache
def public_objects() -> dict[str, Any]:
    found = {name: getattr(FlagEmbedding, name) for name in [*FlagEmbedding.__all__, *exported_names()]}
    found |= {f"plugins.{name}": getattr(plugins, name) for name in plugins.__all__ if name != "hookimpl"}
    found |= {f"testing.{name}": getattr(testing, name) for name in testing.__all__}
    found |= {f"errors.{name}": value for name, value in vars(errors).items() if isinstance(value, type)}
    found |= {name: value for name, value in vars(hookspecs).items() if name.startswith("flagembedding_")}
    return found | {"support_model_list": model_mapping.support_model_list}


def is_ours(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith(OURS)


def members(name: str, owner: type) -> Iterator[Documented]:
    for base in owner.__mro__:
        if is_ours(base) and not issubclass(base, enum.Enum):
            for attribute, value in vars(base).items():
                call = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
                if not attribute.startswith("_") and isinstance(call, types.FunctionType) and is_ours(call):
                    yield Documented(f"{name}.{attribute}", call, inspect.getdoc(call) or "", owner)


@cache
def everything() -> dict[Any, Documented]:
    """Return what is documented, each once: a method under the first class that has it."""
    found: dict[Any, Documented] = {}
    for name, thing in public_objects().items():
        found.setdefault(thing, Documented(name, thing, inspect.cleandoc(thing.__doc__ or "")))
        for member in members(name, thing) if isinstance(thing, type) else ():
            found.setdefault(member.call, member)
    return found


ALL = list(everything().values())
# pytest calls the tests of the kit, and hands over its fixtures.
CALLED = [each for each in ALL if not re.match(r"testing\.PluginContract\.(test_|bench|pytest_)", each.name)]
names = {"ids": lambda each: each.name}


@pytest.mark.parametrize("each", ALL, **names)
def test_there_is_one(each: Documented) -> None:
    assert each.text
    assert each.text.partition("\n\n")[0].endswith((".", "::"))


def parsed(text: str) -> docstring_parser.Docstring:
    return docstring_parser.parse(text, style=docstring_parser.DocstringStyle.GOOGLE)


def referred_to(each: Documented) -> list[Documented]:
    """Return what a docstring leaves its arguments, result and errors to."""
    roles = [role for match in ELSEWHERE.finditer(each.text) for role in ROLE.findall(match[1])]
    return [target for target in (look_up(role, each) for role in roles) if target.call is not each.call]


def look_up(role: str, each: Documented) -> Documented:
    if "." not in role:
        thing = next((vars(base)[role] for base in (each.owner or each.call).__mro__ if role in vars(base)), None)
        assert thing is not None, f"{each.name} refers to {role}, which is not there"
        thing = getattr(thing, "__func__", thing)
        return Documented(role, thing, inspect.getdoc(thing) or "", each.owner)
    parts = role.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            thing: Any = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        owner = None
        for part in parts[end:]:
            owner, thing = (thing if isinstance(thing, type) else None), getattr(thing, part)
        return Documented(role, thing, inspect.getdoc(thing) or "", owner)
    raise AssertionError(f"{each.name} refers to {role}, which is not there")


def described(each: Documented) -> dict[str, str]:
    """Return what is said of each argument, here or where the docstring leaves it to."""
    own = {
        param.arg_name.lstrip("*"): param.description or ""
        for param in parsed(each.text).params
        if param.args[0] in ("param", "attribute")
    }
    elsewhere: dict[str, str] = {}
    for target in referred_to(each):
        elsewhere = described(target) | elsewhere
    return elsewhere | own


def own_parameters(each: Documented) -> list[inspect.Parameter]:
    signature = each.signature
    return (
        [] if signature is None else [p for p in signature.parameters.values() if p.name not in ("self", "cls", "args")]
    )


@pytest.mark.parametrize("each", CALLED, **names)
def test_every_argument_is_described(each: Documented) -> None:
    if dataclasses.is_dataclass(each.call):
        return
    said = described(each)
    assert [parameter.name for parameter in own_parameters(each) if not said.get(parameter.name)] == []


@pytest.mark.parametrize("each", CALLED, **names)
def test_every_description_is_of_an_argument(each: Documented) -> None:
    said = [param.arg_name.lstrip("*") for param in parsed(each.text).params if param.args[0] == "param"]
    assert set(said) - {"args", *(parameter.name for parameter in own_parameters(each))} == set()


@pytest.mark.parametrize("each", [each for each in ALL if dataclasses.is_dataclass(each.call)], **names)
def test_the_attributes_of_data_are_described(each: Documented) -> None:
    said = {param.arg_name for param in parsed(each.text).params}
    assert said == {field.name for field in dataclasses.fields(each.call)}


def returns(each: Documented) -> str | None:
    """Return what is said of the result; None where nothing is."""
    document = parsed(each.text)
    first = each.text.partition("\n\n")[0]
    if document.many_returns:
        return " ".join(found.description or "" for found in document.many_returns)
    arguments = own_parameters(each)
    if re.match(r"Return|Whether|Say whether", first) or not arguments:
        return None if arguments and len(document.params) else first
    return next((found for target in referred_to(each) if (found := returns(target))), None)


FUNCTIONS = [each for each in CALLED if not each.is_class]


@pytest.mark.parametrize("each", FUNCTIONS, **names)
def test_a_result_is_described(each: Documented) -> None:
    annotation = str(inspect.signature(each.call).return_annotation)
    if annotation not in ("None", "<class 'inspect._empty'>"):
        assert returns(each)


def gives_arrays(each: Documented) -> bool:
    annotation = str(inspect.signature(each.call).return_annotation)
    return bool(re.search(r"ndarray|Tensor|Vectors", annotation)) or each.call.__name__.startswith("encode")


@pytest.mark.parametrize("each", [each for each in FUNCTIONS if gives_arrays(each)], **names)
def test_an_array_has_a_shape_and_a_dtype(each: Documented) -> None:
    said = returns(each) or ""
    said += " ".join(returns(target) or "" for target in (look_up(role, each) for role in ROLE.findall(said)))
    assert SHAPE.search(said), said
    assert DTYPE.search(said), said


ARRAY = re.compile(r"ndarray|Tensor")


@pytest.mark.parametrize("each", CALLED, **names)
def test_an_array_that_is_taken_has_a_shape_and_a_dtype(each: Documented) -> None:
    for parameter in own_parameters(each):
        if ARRAY.search(str(parameter.annotation)) and "Callable" not in str(parameter.annotation):
            said = described(each)[parameter.name]
            assert SHAPE.search(said), (parameter.name, said)
            assert DTYPE.search(said), (parameter.name, said)


@pytest.mark.parametrize("each", CALLED, **names)
def test_a_number_has_a_unit(each: Documented) -> None:
    said = described(each)
    bare = [
        (parameter.name, said.get(parameter.name))
        for parameter in own_parameters(each)
        if re.search(r"\b(int|float)\b", str(parameter.annotation)) and not UNIT.search(said.get(parameter.name, ""))
    ]
    assert bare == []


def error_class(name: str, function: Any = None) -> type | None:
    found = function.__globals__.get(name) if function is not None else None
    found = found or getattr(errors, name, None) or getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def raised(function: Any) -> set[type]:
    """Return the errors that a function raises itself, and those that a function of ours says it raises for it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    called = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    direct = [n.exc.func for n in ast.walk(tree) if isinstance(n, ast.Raise) and isinstance(n.exc, ast.Call)]
    found = {error_class(node.id, function) for node in direct if isinstance(node, ast.Name)}
    for node in called:
        target = function.__globals__.get(node.func.id)
        if isinstance(target, types.FunctionType) and is_ours(target):
            found |= {error_class(error.type_name or "") for error in parsed(inspect.getdoc(target) or "").raises}
    return {each for each in found if each is not None}


def said_to_raise(each: Documented) -> list[type]:
    own = [error_class(error.type_name or "", None) for error in parsed(each.text).raises]
    assert None not in own, "an error that does not exist"
    return [*own, *(error for target in referred_to(each) for error in said_to_raise(target))]  # type: ignore[list-item]


@pytest.mark.parametrize("each", CALLED, **names)
def test_every_error_is_described(each: Documented) -> None:
    checks = "__post_init__" if dataclasses.is_dataclass(each.call) else "__init__"
    function = vars(each.call).get(checks) if each.is_class else each.call
    said = said_to_raise(each)
    if isinstance(function, types.FunctionType) and is_ours(function):
        assert [error for error in raised(function) if not issubclass(error, tuple(said))] == []


@pytest.mark.parametrize("name", exported_names())
def test_what_comes_from_a_paper_or_a_card_says_so(name: str) -> None:
    found = getattr(FlagEmbedding, name)
    module = importlib.import_module(found.__module__)
    assert SOURCE.search(f"{found.__doc__} {module.__doc__}")


HOOKS: dict[str, Callable[..., Any]] = {
    name: hook for name, hook in public_objects().items() if name.startswith("flagembedding_")
}


@pytest.mark.parametrize("name", HOOKS)
def test_the_example_of_a_hook_runs(name: str) -> None:
    """As a plugin of its own: it is registered, and what it returns passes the contract."""
    text = inspect.getdoc(HOOKS[name]) or ""
    code = textwrap.dedent(text.partition("Example::\n")[2])
    module = types.ModuleType("acme")
    exec("from pathlib import Path\nfrom FlagEmbedding.plugins import *", vars(module))
    exec(compile(code, name, "exec"), vars(module))
    manager = plugins_manager()
    manager.register(module, "acme")
    if name == "flagembedding_locate_model":
        assert vars(module)[name]("acme/acme-embed") is None
    else:
        assert vars(module)[name]()


def plugins_manager() -> Any:
    from FlagEmbedding.plugins.manager import PluginManager  # noqa: PLC0415

    return PluginManager({"FLAGEMBEDDING_PLUGINS": "none", "FLAGEMBEDDING_STRICT_PLUGINS": "1"})
