"""Write docs/skills.md: everything that can be asked for, measured by the rule of every skill of its body.

    python scripts/skills_page.py [--episodes 100] [--seed 0] [--page docs/skills.md]

Who was measured before, with the same rules, episodes and seed, is not measured again; the figures are kept in
benchmarks/results/skills.json. Remove that file to measure all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gato.progress import setup_logging
from gato.reporting.skill_page import write_skill_page

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "skills.md")
    parser.add_argument("--scores", type=Path, default=ROOT / "benchmarks" / "results" / "skills.json")
    options = parser.parse_args()
    setup_logging()
    print(write_skill_page(options.page, scores=options.scores, episodes=options.episodes, seed=options.seed))


if __name__ == "__main__":
    main()
