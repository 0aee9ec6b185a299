"""Whether a profile is like those a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from sklearn.decomposition import PCA

from g2m_interpret.errors import InputError

SLACK_COUNTS = 2.0
"""Normalised counts by which a rare gene may leave its range by chance."""


@dataclass(frozen=True, kw_only=True)
class Familiarity:
    """Distance from training profiles, within their main directions and off them.

    Attributes
    ----------
    center, axes, variance
        Of the principal components of training profiles.
    within_limit
        Squared Mahalanobis distance along the components that training profiles not used for the fit rarely exceed.
    off_limit
        The same of the distance from the plane of the components.
    lowest, highest
        log1p expression of each gene over all profiles seen. Distances drown a single gene in the noise of thousands,
        so none may have less than half the lowest counts or more than twice the highest, but for `SLACK_COUNTS`.
    """

    center: Float[np.ndarray, " gene"]
    axes: Float[np.ndarray, "component gene"]
    variance: Float[np.ndarray, " component"]
    within_limit: float
    off_limit: float
    lowest: Float[np.ndarray, " gene"]
    highest: Float[np.ndarray, " gene"]

    @classmethod
    def fit(
        cls,
        expression: Float[np.ndarray, "n gene"],
        *,
        components: int = 20,
        quantile: float = 0.99,
        seed: int = 0,
    ) -> Familiarity:
        """Learn from a sample of training profiles (log1p); a few thousand suffice.

        Parameters
        ----------
        components
            Directions kept.
        quantile
            Of held-out training profiles (a quarter) that count as familiar, by each of the two distances.

        Raises
        ------
        InputError
            There are fewer than four times as many profiles as components.
        """
        if len(expression) < 4 * components:
            raise InputError(
                f"{len(expression)} training profiles are too few for {components} components: give {4 * components}"
            )
        order = np.random.default_rng(seed).permutation(len(expression))
        held, fitted = np.split(order, [len(order) // 4])
        pca = PCA(components, svd_solver="randomized", random_state=seed).fit(expression[fitted])
        found = cls(
            center=np.asarray(pca.mean_, dtype=np.float64),
            axes=np.asarray(pca.components_, dtype=np.float64),
            variance=np.asarray(pca.explained_variance_, dtype=np.float64),
            within_limit=0.0,
            off_limit=0.0,
            lowest=expression.min(axis=0),
            highest=expression.max(axis=0),
        )
        return found.extended(expression[held], quantile=quantile)

    def extended(self, expression: Float[np.ndarray, "n gene"], *, quantile: float = 0.99) -> Familiarity:
        """Let in what these unedited profiles already are.

        A new section differs from training by its batch and depth alone, in more than any edit changes. With limits
        raised to its own spots' distances, what still falls outside does so because of the edit.
        """
        within, off = self.distances(expression)
        return replace(
            self,
            within_limit=max(self.within_limit, float(np.quantile(within, quantile))),
            off_limit=max(self.off_limit, float(np.quantile(off, quantile))),
            lowest=np.minimum(self.lowest, expression.min(axis=0)),
            highest=np.maximum(self.highest, expression.max(axis=0)),
        )

    def distances(
        self, expression: Float[np.ndarray, "n gene"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Squared Mahalanobis distance along the components, and distance off them."""
        shift = expression.astype(np.float64) - self.center
        along = shift @ self.axes.T
        within = (along**2 / np.maximum(self.variance, 1e-12)).sum(axis=1)
        off = np.sqrt(np.maximum((shift**2).sum(axis=1) - (along**2).sum(axis=1), 0))
        return within, off

    def is_familiar(self, expression: Float[np.ndarray, "n gene"]) -> Bool[np.ndarray, " n"]:
        """Whether both distances and every gene are within what the profiles seen show."""
        within, off = self.distances(expression)
        least = np.log1p(np.maximum(np.expm1(self.lowest) / 2 - SLACK_COUNTS, 0))
        most = np.log1p(np.expm1(self.highest) * 2 + SLACK_COUNTS)
        in_range = ((expression >= least) & (expression <= most)).all(axis=1)
        return np.asarray((within <= self.within_limit) & (off <= self.off_limit) & in_range)
