"""The numbers of a screen: how well the gradient predicted what redrawing shows, and what stands out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_CLEAR = 0.95  # share of random ones beyond which a change stands out
_FIRST = 20


def strongest(table: pd.DataFrame) -> pd.DataFrame:
    """Give the screened rows of a `screen_table`, largest verified change first."""
    screened = table[table["screened"]]
    order: pd.DataFrame = screened.reindex(screened["change"].abs().sort_values(ascending=False, kind="stable").index)
    return order


def screen_metrics(table: pd.DataFrame) -> dict[str, Any]:
    """Give ``screen.*`` of metrics.json.

    Parameters
    ----------
    table
        Of `screen_table`; on a phantom with ``true_effect`` (NaN for genes that are not the factor's).

    Returns
    -------
    ranked, verified, controls (random ones redrawn); same_sign (share of the verified that change as predicted),
    interval_excludes_0 (how many), same_sign_of_those, beyond_random (how many of those exceed 95 % of their
    controls), spearman (of predicted and verified change); on a phantom true_in_top20: how many of the twenty strongest
    verified are the factor's own genes.
    """
    screened = table[table["screened"]]
    sure = screened[(screened["low"] > 0) | (screened["high"] < 0)]
    drawn = int((table["change"].notna() & ~table["screened"]).sum()) if "gene" in table else screened["controls"].sum()
    several = screened["change"].nunique() > 1 and screened["predicted"].nunique() > 1
    found = {
        "ranked": int(table["rank"].notna().sum()),
        "verified": len(screened),
        "controls": int(drawn),
        "same_sign": float(screened["same_sign"].mean()),
        "interval_excludes_0": len(sure),
        "same_sign_of_those": float(sure["same_sign"].mean()) if len(sure) else None,
        "beyond_random": int((sure["beyond_random"] >= _CLEAR).sum()) if drawn else None,
        "spearman": float(screened["predicted"].corr(screened["change"], method="spearman")) if several else None,
    }
    if "true_effect" in table:
        found["true_in_top20"] = int(strongest(table)["true_effect"].head(_FIRST).notna().sum())
    return found
