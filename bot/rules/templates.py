"""Templates of posts: what may stand in them, how they are checked when they are saved, how they are filled.

A template is Jinja2 (https://jinja.palletsprojects.com/templates/) of which only a small part is allowed: variables, a
few filters, `{% if %}` and an unnested `{% for %}`. That is enough to write a post, and nothing in it can grow without
bound, reach outside or run for long. Posts are plain text, so nothing is escaped for HTML.

An empty variable takes its line with it where it stands alone, and never leaves double spaces or blank lines behind.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bot.errors import WirepostError
from bot.model import Reason, Why

if TYPE_CHECKING:
    from jinja2 import Environment, Template, nodes

#: What a template can name. `wirepost settings schema` and the docs list it from here.
VARIABLES: Mapping[str, str] = {
    "headline": "The headline, cleaned.",
    "link": "The article's link with the campaign's parameters; empty where the network shows the link as a card.",
    "tags": 'The tags as one text: "#Rail #Unions"; empty where the network has a field for tags, or none.',
    "tag_list": "The same tags one by one, without the sign.",
    "summary": "The article's summary, cleaned.",
    "section": "The article's section.",
    "author": 'All authors as one text: "Ana Díaz, Ben Okri".',
    "authors": "The authors one by one.",
    "house": "The name of the house.",
    "source": "The name of the source.",
    "account": "The name of the account.",
    "network": "The name of the network.",
}
FILTERS = ("capitalize", "default", "first", "join", "last", "length", "lower", "title", "trim", "upper")

_LISTS = ("tag_list", "authors")


class BadTemplate(WirepostError):
    """A template can't be used; `why.detail` says where and what is wrong."""

    def __init__(self, detail: str) -> None:
        self.why = Why(Reason.TEMPLATE, detail)
        super().__init__(f"Template: {detail}")


@dataclass(frozen=True, slots=True, eq=False)
class Filler:
    """A template that passed its check. `uses` are the variables it names."""

    uses: frozenset[str]
    _template: Template

    def fill(self, values: Mapping[str, Any]) -> str:
        """The text with these values; raises BadTemplate if an expression can't be worked out with them."""
        from jinja2 import TemplateError

        given = {name: _Absent(_MARK) if value == "" else value for name, value in values.items()}
        try:
            return _squeezed(self._template.render(given))
        except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise BadTemplate(f"{error} (with these values)") from error


def check_template(text: str) -> Why | None:
    """What is wrong with a template, with its line, or None: asked when it is saved.

    It is read, and filled once with everything and once with as little as an article may have.
    """
    try:
        filler = compiled(text)
        full, bare = filler.fill(_FULL), filler.fill(_BARE)
    except BadTemplate as error:
        return error.why
    if not full or not bare:
        return Why(Reason.TEMPLATE, "without link, tags and summary it gives an empty post")
    glued = re.search(re.escape(_FULL["link"]) + r"\w|\w" + re.escape(_FULL["link"]), full)
    if glued:
        return Why(Reason.TEMPLATE, "the link needs a space or a line of its own: letters touch it")
    return None


@lru_cache(maxsize=512)
def compiled(text: str) -> Filler:
    """The template ready to be filled; raises BadTemplate with line and cause. Kept by its text."""
    from jinja2 import TemplateSyntaxError, meta

    try:
        tree = _environment().parse(text)
        for line, fault in _faults(text, tree):
            raise BadTemplate(f"line {line}: {fault}")
        return Filler(frozenset(meta.find_undeclared_variables(tree)), _environment().from_string(tree))
    except TemplateSyntaxError as error:
        raise BadTemplate(f"line {error.lineno}: {error.message}") from None
    except RecursionError:
        raise BadTemplate("it is nested too deeply") from None


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        autoescape=False,  # posts are plain text; pages escape them where they show them
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=0,
    )
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    return environment


# -- what may stand in a template ---------------------------------------------------------------------------------

# Expressions and blocks whose result can't outgrow the values by much: no sums, no calls, no assignments.
# fmt: off
_ALLOWED = frozenset({
    "Template", "Output", "TemplateData", "Name", "Const", "If", "CondExpr", "For", "Filter", "Test", "Keyword",
    "Not", "And", "Or", "Compare", "Operand", "Concat", "Getattr", "Getitem", "Slice", "Neg",
})
# fmt: on
_SINGLE = re.compile(r"(?<!\{)\{\s*(" + "|".join(VARIABLES) + r")\s*\}(?!\})")
_SPELLED = {"Call": "a call", "Assign": "{% set %}"}
_SUMS = frozenset({"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow", "Pos"})


def _faults(text: str, tree: nodes.Template) -> Iterator[tuple[int, str]]:
    """(line, what is wrong), the first one first."""
    single = _SINGLE.search(text)
    if single:
        yield text.count("\n", 0, single.start()) + 1, f"write {{{{ {single[1]} }}}} with two braces"
    yield from _unknown_names(tree)
    for node, loops in _walk(tree, 0):
        fault = _fault_of(node, loops)
        if fault:
            yield node.lineno, fault


def _unknown_names(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    from jinja2 import meta, nodes

    unknown = (meta.find_undeclared_variables(tree) | {"self", "super"}) - set(VARIABLES)
    for node in tree.find_all(nodes.Name):
        if node.name in unknown:
            near = difflib.get_close_matches(node.name, VARIABLES, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(VARIABLES)}"
            yield node.lineno, f'there is no "{node.name}"; {hint}'


def _walk(node: nodes.Node, loops: int) -> Iterator[tuple[nodes.Node, int]]:
    """Every node, with the number of loops around it."""
    yield node, loops
    inside = loops + (type(node).__name__ == "For")
    for child in node.iter_child_nodes():
        yield from _walk(child, inside)


def _fault_of(node: nodes.Node, loops: int) -> str:
    from jinja2 import nodes

    kind = type(node).__name__
    if kind not in _ALLOWED:
        spelled = "a sum" if kind in _SUMS else _SPELLED.get(kind, f"{{% {kind.lower()} %}}")
        return f"{spelled} can't be used in a post's template"
    if isinstance(node, nodes.For) and loops:
        return "a loop inside a loop can't be used in a post's template"
    if isinstance(node, nodes.For) and node.recursive:
        return "a recursive loop can't be used in a post's template"
    if isinstance(node, nodes.Getattr) and not _is_name(node.node, "loop"):
        return f"\".{node.attr}\" can't be used in a post's template"
    if isinstance(node, nodes.Filter) and node.name == "join" and not _is_name(node.node, *_LISTS):
        return f"join is for {' and '.join(_LISTS)}"
    return ""


def _is_name(node: nodes.Node | None, *names: str) -> bool:
    return getattr(node, "name", None) in names and type(node).__name__ == "Name"


# -- empty variables ----------------------------------------------------------------------------------------------

#: Stands in the filled text where a variable was empty. No cleaned text holds it.
_MARK = "\0"


class _Absent(str):
    """An empty value that still shows where it stood. It is false, as an empty text is."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


def _squeezed(text: str) -> str:
    """The text without the traces of empty variables: lines, double spaces, blank lines too many."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        rest = line.replace(_MARK, "")
        if rest.strip() or _MARK not in line:
            lines.append(re.sub(r"[ \t]{2,}", " ", rest).strip(" \t"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


_FULL: Mapping[str, Any] = {
    "headline": "Rail strike off after late deal",
    "link": "https://example.com/rail?utm_source=network",
    "tags": "#Rail #Unions",
    "tag_list": ["Rail", "Unions"],
    "summary": "Trains run from Monday.",
    "section": "Politics",
    "author": "Ana Díaz, Ben Okri",
    "authors": ["Ana Díaz", "Ben Okri"],
    "house": "The Daily Example",
    "source": "main",
    "account": "desk",
    "network": "network",
}
_BARE: Mapping[str, Any] = {
    **_FULL,
    **dict.fromkeys(("link", "tags", "summary", "section", "author"), ""),
    **dict.fromkeys(_LISTS, ()),
}
