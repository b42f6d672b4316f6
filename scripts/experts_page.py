"""Write docs/experts.md: every shipped expert measured, beside what others published.

    python scripts/experts_page.py [--episodes 100] [--seed 0] [--page docs/experts.md]

Experts that were measured before, with the same episodes and seed, are not measured again; their figures are kept in
benchmarks/results/shipped_experts.json. Remove that file to measure all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gato.progress import setup_logging
from gato.reporting.expert_page import write_expert_page

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "experts.md")
    parser.add_argument("--scores", type=Path, default=ROOT / "benchmarks" / "results" / "shipped_experts.json")
    options = parser.parse_args()
    setup_logging()
    published = ROOT / "benchmarks" / "published.json"
    page = write_expert_page(
        options.page, scores=options.scores, published=published, episodes=options.episodes, seed=options.seed
    )
    print(page)


if __name__ == "__main__":
    main()
