"""Where the values of secrets come from, and the node that keeps a value in the stack's state.

A value is in no blueprint, stack file or graph. The graph has the recipe; the value is got when a run needs it, and
then stays in the state, encrypted (docs/decisions/0019-secret-values.md, `mlinfra.workflow.secret_values`).
"""

import secrets
import string
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field

from mlinfra.components.values import Structure
from mlinfra.expansion import Scope
from mlinfra.graph import Kind, Options, Ref

STASH: Final = "pulumi:index:Stash"
"""Pulumi's own resource for a value that is kept in the state; the engine itself has it, so that no plugin is needed.
Its `output` is the `input` that it was made with, until it is replaced."""

RECIPE: Final = "recipe"
VALUE: Final = "value"
QUESTION: Final = "question"
VARIABLE: Final = "variable"

Alphabet: TypeAlias = Literal["letters-and-digits", "hexadecimal", "printable"]
ALPHABETS: Final[dict[Alphabet, str]] = {
    "letters-and-digits": string.ascii_letters + string.digits,
    "hexadecimal": "0123456789abcdef",
    # Without what shells, URLs and RDS (CreateDBInstance, MasterUserPassword) take for something else.
    "printable": string.ascii_letters + string.digits + "!#$%*+,-.:;=?^_~",
}

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class Generated(Structure):
    """A random value, made once, by the operating system's generator for secrets."""

    length: int = Field(default=32, ge=16, le=256)
    """How many characters."""

    alphabet: Alphabet = "letters-and-digits"
    """Of which characters: letters and digits, hexadecimal digits, or these and `!#$%*+,-.:;=?^_~`."""

    def recipe(self) -> dict[str, Any]:
        """What a value depends on: with another recipe there is another value."""
        return {"source": "generator", "length": self.length, "alphabet": self.alphabet}


class FromEnvironment(Structure):
    """The value of an environment variable of whoever runs `up`: `FromEnvironment("DB_PASSWORD")`.

    It has to be set for the first `up`. Later ones keep what they have where it is not set, and take the new value
    where it is.
    """

    variable: Variable
    """The variable's name."""

    def __init__(self, variable: str = "", **more: Any) -> None:
        super().__init__(**{"variable": variable, **more})

    def recipe(self) -> dict[str, Any]:
        """What a value depends on; the variable's name is no part of it."""
        return {"source": "environment"}


class FromPrompt(Structure):
    """What a person types at the terminal, unseen, at the first `up`; later ones keep it."""

    question: str = Field(default="", max_length=200, pattern=r"^[^\x00-\x1f]*$")
    """What is asked; by default for the value of the secret, by its name."""

    def recipe(self) -> dict[str, Any]:
        """What a value depends on; the question is no part of it."""
        return {"source": "prompt"}


Source: TypeAlias = Generated | FromEnvironment | FromPrompt

STRUCTURES: Final = (Generated, FromEnvironment, FromPrompt)
"""The values above, in the order in which documentation shows them."""


def add_value(scope: Scope, source: Source, generation: int, local: str = "value") -> Ref:
    """Add the node that keeps a value; returns a reference to the value, which is secret.

    Another `generation` is another value.
    """
    more = {}
    if isinstance(source, FromEnvironment):
        more[VARIABLE] = source.variable
    if isinstance(source, FromPrompt):
        more[QUESTION] = source.question or f"The value of secret {scope.component.name}:"
    recipe = {**source.recipe(), "generation": generation}
    # What was given once stays given, so a value that is to be another one is another resource.
    options = Options(replace_on_changes=("input",))
    scope.add(local, STASH, {"input": {RECIPE: recipe, **more}}, Kind.RESOURCE, options)
    return value_of(scope.component.node(local))


def value_of(node: str) -> Ref:
    """A reference to the value that a node of `add_value` keeps."""
    return Ref(node, ("output", VALUE))


def generate(length: int, alphabet: Alphabet) -> str:
    """A random text."""
    characters = ALPHABETS[alphabet]
    return "".join(secrets.choice(characters) for _ in range(length))
