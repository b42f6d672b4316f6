"""Train the bundled text tokenizer on the instruction grammar and on English that ships with Python and Gymnasium.

    python scripts/train_tokenizer.py            writes gato/tokens/tokenizer.json

The same Python and the same packages give the same file. Other versions ship other texts and give another tokenizer,
hence other ids: models keep their own copy, so replacing the bundled file breaks none.
"""

from __future__ import annotations

import argparse
import ast
import pydoc_data.topics
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import gymnasium

from gato.skills.prompts import SPLITS, phrases
from gato.skills.table import SKILLS
from gato.skills.wordings import WORDINGS
from gato.tokens.text import BUNDLED, TextCodec, train_text_codec

PHRASE_WEIGHT = 300
"""How often each phrase counts, against English once a line: every word of the grammar becomes one token."""
COMMAND_WEIGHT = 20
"""The same of the phrases for commands, which repeat the same words many times."""
WORD_WEIGHT = 300
WORDS = """
turn left right around sideways spin flip stand still up down crouch lie sit walk trot crawl limp swim reach push
throw catch swing lift lower kick jump high low slow slower slowly faster speed stop start wait then after before
until while seconds second times twice once meters metres per minute halfway toward away from target ball object
goal line track circle corner leg arm foot feet hand knee hip torso body robot ant humanoid cheetah hopper walker
swimmer pusher reacher pendulum double pole gently carefully calmly more less very little bit not never do keep
hold get come follow return again stay here there one two three four five six seven eight nine ten zero half
"""
"""Words of skills to come, so that they too are whole tokens."""
_PROSE = re.compile(r"[A-Za-z][A-Za-z ,;:.'()-]{30,}")


def main() -> None:
    """Parse, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BUNDLED, help="where to write (default: the bundled file)")
    arguments = parser.parse_args()
    codec = train_text_codec(corpus())
    arguments.out.write_text(codec.json, encoding="utf-8", newline="\n")
    print(f"{arguments.out}: {codec.size} entries, sha256 {codec.digest}; {_longest_phrase(codec)}")


def corpus() -> Iterator[str]:
    """The grammar and single words, weighted, then every distinct line of English, sorted."""
    for skill_id in WORDINGS:
        yield from (
            *phrases(skill_id),
            *phrases(skill_id, "combinations"),
            *phrases(skill_id, "phrasings"),
        ) * PHRASE_WEIGHT
    for skill in SKILLS.values():
        for cell in skill.cells if skill.is_commanded else ():
            yield from cell.phrases * COMMAND_WEIGHT
    yield from WORDS.split() * WORD_WEIGHT
    yield from sorted(set(english()))


def english() -> Iterator[str]:
    """Lines of prose: Python's help topics, docstrings of the standard library and of Gymnasium."""
    texts = list(pydoc_data.topics.topics.values())
    for root in (Path(sysconfig.get_path("stdlib")), Path(gymnasium.__file__).parent):
        for path in sorted(root.rglob("*.py")):
            relative = path.relative_to(root).parts
            if "site-packages" not in relative and "test" not in relative and "tests" not in relative:
                texts += docstrings(path)
    for text in texts:
        yield from (match.group().strip() for line in text.splitlines() for match in _PROSE.finditer(line))


def docstrings(path: Path) -> list[str]:
    """Every docstring of one source file; none for a file that is not UTF-8 or does not parse."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return []
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, owners)]


def _longest_phrase(codec: TextCodec) -> str:
    lengths = {p: len(codec.encode(p)) for s in WORDINGS for split in SPLITS for p in phrases(s, split)}
    longest = max(lengths, key=lambda phrase: lengths[phrase])
    return f"longest phrase {lengths[longest]} tokens: {longest!r}"


if __name__ == "__main__":
    main()
