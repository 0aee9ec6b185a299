"""What the matrix holds: genes shared and lost, library sizes."""

import numpy as np

from g2m_data.doctor.report import Check, Verdict
from g2m_data.doctor.specimen import Specimen
from g2m_data.panel import MINIMAL_SHARE

MOST_COUNTS_LOST = 0.1
"""Share of a section's counts that may fall on genes outside the panel."""
MOST_EMPTY = 0.05
"""Share of the pairs that may have no counts at all."""


def check_genes(specimen: Specimen) -> Check:
    """Genes shared with the study's panel and lost to it, with what share of the counts."""
    genes = specimen.genes
    shared = genes.panel - genes.missing
    numbers = {
        "panel": genes.panel,
        "listed": genes.listed,
        "shared": shared,
        "missing": genes.missing,
        "lost": None if genes.listed is None else genes.listed - shared,
        "counts_lost": genes.counts_lost,
        "genes_of_repeated_symbols": len(genes.repeated),
    }
    message = f"{shared} of the panel's {genes.panel} genes"
    if genes.listed is not None and genes.counts_lost is not None:
        message += (
            f"; {genes.listed - shared} of its own {genes.listed} are not in it, "
            f"with {100 * genes.counts_lost:.1f} % of the counts"
        )
    if genes.repeated:
        message += f"; {len(genes.repeated)} genes share their symbol with another ({', '.join(genes.repeated[:3])})"
    verdict: Verdict = "ok"
    if genes.missing > (1 - MINIMAL_SHARE) * genes.panel:
        verdict = "error"
        message += f'; at least {MINIMAL_SHARE:.0%} must be there: shorten the list, or set genes = "common"'
    elif genes.counts_lost is not None and genes.counts_lost > MOST_COUNTS_LOST:
        verdict = "warning"
        message += ": are the sections of one species, and annotated alike?"
    elif genes.missing:
        message += f"; those missing count as zero ({', '.join(genes.examples)})" if genes.examples else ""
    return Check(name="genes", verdict=verdict, message=message, numbers=numbers)


def check_library(specimen: Specimen) -> Check:
    """Library sizes of the spots or bins, and of the pairs."""
    pairs = specimen.pair_counts
    places = "bins" if specimen.is_hd else "spots"
    numbers = {
        f"{places}": len(specimen.library),
        f"{places}_median_counts": float(np.median(specimen.library)),
        f"{places}_without_counts": int((specimen.library == 0).sum()),
        "pairs": len(pairs),
    }
    if not len(pairs):
        return Check(name="library size", verdict="error", message="there are no pairs to count in", numbers=numbers)
    low, median, high = (float(value) for value in np.percentile(pairs, [5, 50, 95]))
    empty = float((pairs == 0).mean())
    numbers |= {"pairs_median_counts": median, "pairs_5_percent": low, "pairs_95_percent": high, "pairs_empty": empty}
    message = f"median {median:,.0f} counts a pair (90 % between {low:,.0f} and {high:,.0f})"
    if specimen.is_hd:
        message += f", {np.median(specimen.library):.0f} a bin"
    verdict: Verdict = "ok"
    if median <= 0:
        verdict, message = "error", "most pairs have no counts; are matrix and positions of the same section?"
    elif empty > MOST_EMPTY:
        verdict = "warning"
        message += f"; {100 * empty:.0f} % of the pairs have none: was the tissue found in the right place?"
    return Check(name="library size", verdict=verdict, message=message, numbers=numbers)
