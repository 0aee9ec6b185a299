"""Screens: the gradient ranks all genes or gene sets, what is regenerated shows which of them hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
from jaxtyping import Float

from g2m_interpret import keys
from g2m_interpret.errors import InputError
from g2m_interpret.perturbation.edits import Edit, matched_genes, mean_expression
from g2m_interpret.perturbation.effects import random_edits, share_beyond

_VERIFIED = ("before", "change", "low", "high", "change_sd", "familiar_before", "familiar")


def rank_by_gradient(
    attributions: anndata.AnnData,
    statistic: str,
    *,
    fold: float,
    genes: Collection[str] | None = None,
    sets: Mapping[str, Sequence[str]] | None = None,
    unranked: Collection[str] = (),
    shares: Float[np.ndarray, " gene"] | None = None,
) -> pd.DataFrame:
    """Genes, or gene sets, by the change the gradient predicts, largest either way first.

    Parameters
    ----------
    attributions
        Of `attribute_images`.
    statistic
        A row of them.
    fold
        0 = knockout, else the change is that of a doubling times log2 of the fold.
    genes
        Those to rank; all by default.
    sets
        Rank these instead, each by the sum of its genes' predictions; with `shares` its genes are rescaled together.
    unranked
        Genes that follow those ranked, if they are none of them: with a prediction, without a rank. Random ones that
        are redrawn beside the first.
    shares
        Where edits are brought back to the library size: the share of all counts that each gene has, in the panel's
        order. What all other genes then move is added to the prediction.

    Returns
    -------
    gene (or set, genes), predicted, predicted_sd (in standard deviations of the statistic over images), rank from 1.

    Raises
    ------
    InputError
        There is no such statistic, or a gene is not in the panel.
    """
    if statistic not in attributions.obs_names:
        raise InputError(f"no statistic {statistic!r}; there are {', '.join(attributions.obs_names)}")
    row = attributions.obs_names.get_loc(statistic)
    source = attributions.layers[keys.KNOCKOUT][row] if fold == 0 else attributions.X[row] * np.log2(fold)
    names = attributions.var_names.to_numpy()
    doubled = np.asarray(attributions.X[row], dtype=np.float64)
    of_gene = pd.DataFrame(
        {
            "alone": np.asarray(source, dtype=np.float64),
            "doubled": doubled,
            "share": np.zeros(len(names)) if shares is None else shares,
        },
        index=names,
    )

    def predict(edited: pd.DataFrame) -> pd.Series[float]:
        rescaled = doubled.sum() - (edited["doubled"] if fold == 0 else 0.0)
        library: pd.Series[float] = (1 + (fold - 1) * edited["share"]).clip(lower=1e-12)
        predicted: pd.Series[float] = edited["alone"] - rescaled * np.log2(library)
        return predicted

    wanted = [*(genes or ()), *unranked, *(gene for members in (sets or {}).values() for gene in members)]
    missing = [gene for gene in wanted if gene not in of_gene.index]
    if missing:
        raise InputError(f"gene {missing[0]} is not in the panel of {len(of_gene)} genes ({len(missing)} in all)")
    if sets is None:
        kept = of_gene if genes is None else of_gene[of_gene.index.isin(list(genes))]
        table = pd.DataFrame({"gene": kept.index.to_numpy(), "predicted": predict(kept).to_numpy()})
    else:
        table = pd.DataFrame(
            {
                "set": list(sets),
                "genes": [len(members) for members in sets.values()],
                "predicted": predict(pd.DataFrame([of_gene.loc[list(members)].sum() for members in sets.values()])),
            }
        )
    spread = max(float(attributions.obs["deviation"].iloc[row]), 1e-12)
    table["predicted_sd"] = table["predicted"] / spread
    table = table.iloc[np.lexsort([table.iloc[:, 0], -table["predicted"].abs()])].reset_index(drop=True)
    table["rank"] = pd.array(np.arange(1, len(table) + 1), dtype="Int64")
    beside = [gene for gene in unranked if sets is None and gene not in set(table["gene"])]
    if not beside:
        return table
    predicted = predict(of_gene.loc[beside]).to_numpy()
    more = pd.DataFrame({"gene": beside, "predicted": predicted, "predicted_sd": predicted / spread})
    return pd.concat([table, more.assign(rank=pd.array([pd.NA] * len(more), dtype="Int64"))], ignore_index=True)


def gene_controls(
    genes: Sequence[str], expression: Float[np.ndarray, "spot gene"], edits: Sequence[Edit], *, number: int, seed: int
) -> dict[str, Edit]:
    """The same done to genes that are not in the screen, expressed like those that are.

    A gene is matched to each of `number` edits, taken evenly down their order; together they show what genes of such
    expression do that were not chosen. Fewer where the panel has no more; where the nearest in expression are all
    in the screen, those that are drawn are expressed less alike.

    Parameters
    ----------
    edits
        Of one gene each.

    Returns
    -------
    Which edit stands beside which screened gene.
    """
    screened = [gene for edit in edits for gene in (*edit.up, *edit.down)]
    number = min(number, len(edits), len(genes) - len(set(screened)))
    if number < 1:
        return {}
    chosen = [edits[place] for place in np.linspace(0, len(edits) - 1, number).round().astype(int)]
    targets = [screened[edits.index(edit)] for edit in chosen]
    passed_over = set(screened) - set(targets)
    kept = [column for column, gene in enumerate(genes) if gene not in passed_over]
    mean = mean_expression(expression)
    (drawn,) = matched_genes(mean[kept], [genes[column] for column in kept], targets, sets=1, seed=seed)
    edited = [replace(edit, up=(gene,), label=gene) for edit, gene in zip(chosen, drawn, strict=True)]
    return dict(zip(targets, edited, strict=True))


def set_controls(
    genes: Sequence[str], expression: Float[np.ndarray, "spot gene"], edit: Edit, *, number: int, seed: int
) -> list[Edit]:
    """The same done to random sets of the edit's size, matched to it gene by gene in mean expression.

    Raises
    ------
    InputError
        The panel is too small to match them.
    """
    drawn = random_edits(genes, expression, edit, number, seed)
    return [replace(one, label=f"{edit.name}, {one.name}") for one in drawn]


def screen_table(
    ranked: pd.DataFrame,
    verified: pd.DataFrame,
    statistic: str,
    controls: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """One table of a screen: the gradient's rank and prediction of all genes, and what regeneration showed of the top.

    Parameters
    ----------
    ranked
        Of `rank_by_gradient`; a control has a row only if it is there, ranked or not.
    verified
        Of `verify_edits`, whose edits are labelled by their gene or set.
    controls
        Of each gene or set that was screened: the labels of its random counterparts, verified too.

    Returns
    -------
    `ranked` and, of what was verified: before, change, low, high, change_sd, familiar_before, familiar; ``screened``
    (not itself a control); of what was screened also ``same_sign`` (1 where the change goes the way that was
    predicted), ``beyond_random`` (share of controls whose change is smaller, either way) and ``controls``, their
    number.
    """
    own = verified[verified["statistic"] == statistic] if len(verified) else pd.DataFrame({"edit": []})
    name = str(ranked.columns[0])
    joined = ranked.merge(own.reindex(columns=["edit", *_VERIFIED]).rename(columns={"edit": name}), on=name, how="left")
    joined = joined.sort_values("rank", ignore_index=True)
    change = dict(zip(own["edit"], own.reindex(columns=["change"])["change"], strict=True))
    drawn = {label for labels in (controls or {}).values() for label in labels}
    joined["screened"] = joined[name].isin(change.keys() - drawn)
    agrees = np.sign(joined["change"]) == np.sign(joined["predicted"])
    joined["same_sign"] = np.where(joined["screened"] & joined["change"].notna(), agrees, np.nan)
    labels = [
        list((controls or {}).get(one, ())) if kept else [] for one, kept in joined[[name, "screened"]].to_numpy()
    ]
    random = [np.array([change[one] for one in some if one in change], dtype=np.float64) for some in labels]
    joined["beyond_random"] = [share_beyond(*pair) for pair in zip(joined["change"], random, strict=True)]
    joined["controls"] = [len(values) for values in random]
    return joined
