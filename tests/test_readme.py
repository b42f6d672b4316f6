"""Every block of the README and the quickstart is run as it stands, in miniature, in the order of reading.

The two set-up commands install, so they are stood in for: `make test` by the tests that run, `make demo` by the demo in
miniature.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = [path for path in (ROOT / "README.md", ROOT / "docs" / "quickstart.md") if path.is_file()]
SET_UP = ("make demo", "make test", "make")
"""Not run: they install. That the Makefile has them is checked."""
MINIATURE = (
    (r"--episodes \d+", "--episodes 2"),
    (r"--steps [\d_]+", "--steps 2000"),
    (r"--video \d+", "--video 0"),
    (
        r"(gato (?:fit|validate|test) .*)",
        r"\1 --trainer.max_steps 2 --trainer.log_every_n_steps 1 --data.batch_size 8 --trainer.limit_val_batches 1",
    ),
    (r"(gato eval .*)", r"\1 --steps 20"),
    (r"(gato demo.*)", r"\1 --size miniature"),
)
"""Pattern, replacement: the same commands on less."""
COMMAND_SECONDS = 600
"""Of a busy machine; an idle one needs a tenth."""


@dataclass(frozen=True)
class Command:
    """One command of a document."""

    document: str
    line: int
    text: str

    @property
    def miniature(self) -> str:
        """The same command on less."""
        text = self.text
        for pattern, replacement in MINIATURE:
            text = re.sub(pattern, replacement, text)
        return text


def commands_of(name: str, text: str) -> list[Command]:
    """Its Python blocks, and the lines of its bash blocks: continued ones joined, comments and blank ones left out."""
    found = []
    for block in re.finditer(r"^```(sh|bash|python)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        first = text.count("\n", 0, block.start(2)) + 1
        if block[1] == "python":
            found.append(Command(name, first, "python -W ignore -c " + shlex.quote(block[2])))
            continue
        joined = re.sub(r"\s*\\\n\s*", " ", block[2])
        for offset, line in enumerate(joined.splitlines()):
            command = re.sub(r"\s+#.*$", "", line).strip()
            if command and not command.startswith("#"):
                found.append(Command(name, first + offset, command))
    return found


def make_checkout(folder: Path) -> None:
    """A folder that looks like a checkout, with nothing in it that a command could spoil."""
    folder.mkdir()
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") and entry.name not in ("workspace", "build", "dist", "datasets"):
            (folder / entry.name).symlink_to(entry)
    (folder / "datasets").mkdir()
    for recipe in (ROOT / "datasets").glob("*.yaml"):
        fewer = re.sub(r"episodes: \d+", "episodes: 3", recipe.read_text())
        (folder / "datasets" / recipe.name).write_text(fewer)


def fault_of(document: Path, place: Path) -> str:
    """Run the commands of a document in order; what the first one that fails says."""
    checkout = place / document.stem
    make_checkout(checkout)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MINARI_DATASETS_PATH": str(checkout / "minari"),
        "GATO_CACHE": str(checkout / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    for command in commands_of(document.name, document.read_text()):
        if command.text in SET_UP:
            continue
        done = subprocess.run(
            ["bash", "-euc", command.miniature],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        if done.returncode != 0:
            told = f"{command.document}:{command.line}: {command.text}\nran as: {command.miniature}"
            return f"{told}\n{done.stderr[-3000:]}"
    return ""


def test_every_command_runs(tmp_path: Path) -> None:
    """One core a document."""
    with ThreadPoolExecutor(len(DOCUMENTS)) as pool:
        faults = [fault for fault in pool.map(lambda document: fault_of(document, tmp_path), DOCUMENTS) if fault]
    assert not faults, "\n\n".join(faults)


def test_the_two_set_up_commands_are_the_first_of_the_readme() -> None:
    commands = commands_of("README.md", (ROOT / "README.md").read_text())
    assert {command.text for command in commands[:2]} == {"make demo", "make test"}
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test", "help"} <= set(targets)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 250


def test_files_named_in_the_documents_exist() -> None:
    for document in DOCUMENTS:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name} links to {link}, which is not there"


def test_commands_are_read_as_typed() -> None:
    block = "```bash\nmake demo   # minutes\n# a comment\ngato record \\\n    x --episodes 100\n```\n"
    text = f"words\n{block}```python\nprint(1)\n```\n```text\nnothing\n```\n"
    assert commands_of("a.md", text) == [
        Command("a.md", 3, "make demo"),
        Command("a.md", 5, "gato record x --episodes 100"),
        Command("a.md", 9, "python -W ignore -c 'print(1)\n'"),
    ]
    assert commands_of("a.md", text)[1].miniature == "gato record x --episodes 2"
