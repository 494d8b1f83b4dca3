"""docs/architecture.md: a room imports only rooms before it, and few functions have many parameters."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

# A copy of the tree to test is found without importing the package.
SPEC = importlib.util.find_spec("gmixer")
assert SPEC is not None and SPEC.origin is not None
PACKAGE = Path(SPEC.origin).parent

# fmt: off
ROOMS = (
    "errors", "checks", "options", "files", "isa", "config", "catalogue", "prefetch", "sources", "images", "isolation",
    "labels", "data", "weights", "models", "runtimes", "results", "prediction", "predictor", "loading", "timm_compat",
    "rows", "datasets", "bulk", "search", "evaluate", "train", "doctor", "bench", "agreement",
    "cli",
)
# fmt: on
ROOT_NAMES = {"_native", "__version__"}  # of gmixer itself, which any room may import
OUTSIDE = {"__init__", "__main__", "_native"}  # the public names, `python -m gmixer`, and the compiled core

MAX_PARAMETERS = 9
WITH_MORE = {  # timm's or the user's flat keywords, folded into objects once
    "loading.load",
    "timm_compat.create_model.create_model",
    "timm_compat.transforms.create_transform",
    "models.publishing.push_to_hub",
    "models.mixer.Mixer.__init__",
}


def modules(package: Path) -> dict[str, ast.Module]:
    """The tree of each module, by its name below gmixer: "data" is data/__init__.py."""
    trees = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return trees


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the name below gmixer of each import that runs, at the top and in functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.orelse:
                yield from imports(ast.Module([statement], []))
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from ((node.lineno, name.removeprefix("gmixer.")) for name in names if name.startswith("gmixer."))
        yield from imports(node)


def broken_walls(trees: Mapping[str, ast.Module]) -> list[str]:
    """Imports of a later room, or of a public name in place of its room.

    gmixer.data's lazy names are no import statements. timm_compat.registry takes the public create_model for its error.
    A format that is never decoded in this process goes to isolation, which runs the room images in its own processes.
    """
    allowed = {("timm_compat.registry", "create_model"), ("images.decode", "isolation.workers.Workers")}
    broken = []
    for module, tree in trees.items():
        room = module.partition(".")[0]
        for line, name in imports(tree):
            other = name.partition(".")[0]
            if room in OUTSIDE or other in ROOT_NAMES or (module, name) in allowed:
                continue
            if other not in ROOMS or ROOMS.index(other) > ROOMS.index(room):
                broken.append(f"{module}:{line} imports {name}")
    return broken


def long_signatures(trees: Mapping[str, ast.Module]) -> dict[str, int]:
    """Functions with more than MAX_PARAMETERS parameters besides self and cls."""
    found = {}

    def visit(node: ast.AST, name: str) -> None:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                visit(child, name)
                continue
            if not isinstance(child, ast.ClassDef):
                given = child.args
                parameters = [p.arg for p in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
                parameters += [p.arg for p in (given.vararg, given.kwarg) if p]
                count = len([p for p in parameters if p not in ("self", "cls")])
                if count > MAX_PARAMETERS:
                    found[f"{name}.{child.name}"] = count
            visit(child, f"{name}.{child.name}")

    for module, tree in trees.items():
        visit(tree, module)
    return found


def commands() -> set[str]:
    """The functions that cli/__init__.py registers: `app.command()(bench.bench)`."""
    text = (PACKAGE / "cli" / "__init__.py").read_text(encoding="utf-8")
    return {f"cli.{name}" for name in re.findall(r"app\.command\([^)]*\)\(([\w.]+)\)", text)}


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return modules(PACKAGE)


def test_every_room_has_its_place(trees: Mapping[str, ast.Module]) -> None:
    assert {module.partition(".")[0] for module in trees} - OUTSIDE == set(ROOMS)


def test_the_table_of_rooms_has_this_order() -> None:
    table = Path(__file__).parents[1] / "docs" / "architecture.md"
    cells = re.findall(r"^\| (`.*?) \|", table.read_text(encoding="utf-8"), re.MULTILINE)
    rooms = [room for cell in cells for room in re.findall(r"`(\w+)(?:/|\.py)`", cell)]
    assert rooms == list(ROOMS)


def test_a_room_imports_only_rooms_before_it(trees: Mapping[str, ast.Module]) -> None:
    assert broken_walls(trees) == []


@pytest.mark.parametrize(
    "mutation",
    [
        "from gmixer.weights import find_checkpoint",
        "import gmixer.weights.find",
        "from gmixer import weights",
        "def late():\n    with a:\n        from gmixer.weights.find import hub_repo",
        "from gmixer import Predictor, weights\nfrom gmixer import __version__, _native",
        "if TYPE_CHECKING:\n    pass\nelse:\n    from gmixer import weights",
    ],
)
def test_a_broken_wall_is_found(mutation: str, trees: Mapping[str, ast.Module]) -> None:
    *public, broken = broken_walls({**trees, "data.window": ast.parse(mutation)})
    assert re.match(r"data\.window:\d+ imports weights", broken)
    assert public == (["data.window:1 imports Predictor"] if "Predictor" in mutation else [])


def test_what_only_the_type_checker_reads_is_no_import(trees: Mapping[str, ast.Module]) -> None:
    only_types = ast.parse("if TYPE_CHECKING:\n    from gmixer.weights import Checkpoint")
    assert broken_walls({**trees, "data.window": only_types}) == []


def test_only_the_flat_interfaces_have_many_parameters(trees: Mapping[str, ast.Module]) -> None:
    assert len(commands()) > 5
    assert set(long_signatures(trees)) - commands() <= WITH_MORE
    assert set(long_signatures(trees)) >= WITH_MORE, "an exception that no function needs any more"


def test_a_long_signature_is_found() -> None:
    ten = ", ".join(f"a{i}" for i in range(10))
    nine = ten.rpartition(", ")[0]
    text = f"class A:\n    def b(self, {nine}): ...\n    def c(self, {ten}):\n        def d(*, {ten}): ..."
    assert long_signatures({"data.window": ast.parse(text)}) == {"data.window.A.c": 10, "data.window.A.c.d": 10}
