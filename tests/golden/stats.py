"""Makes stats.json: what scipy says of the values that src/stats is tested on. `python stats.py > stats.json`."""

import json

import numpy as np
import scipy
from scipy import optimize, stats

RANDOM = np.random.default_rng(20260101)


def one(values):
    """The 20 % trimmed mean, by Tukey and McLaughlin, against zero."""
    values = np.asarray(values)
    n = len(values)
    cut = int(0.2 * n)
    winsorised = np.asarray(stats.mstats.winsorize(values, limits=(cut / n, cut / n)))
    se = winsorised.std(ddof=1) / (0.6 * np.sqrt(n))
    mean = stats.trim_mean(values, 0.2)
    df = n - 2 * cut - 1
    half = stats.t.ppf(0.975, df) * se
    return {
        "values": values.tolist(), "mean": mean, "se": se, "df": df,
        "p_above": stats.t.sf(mean / se, df), "p_below": stats.t.cdf(mean / se, df),
        "interval_95": [mean - half, mean + half], "upper_95": mean + stats.t.ppf(0.95, df) * se,
    }


def two(base, head):
    """Welch, the head less the base."""
    found = stats.ttest_ind(head, base, equal_var=False, alternative="greater")
    mean = np.mean(head) - np.mean(base)
    return {
        "base": list(base), "head": list(head), "mean": mean, "se": mean / found.statistic,
        "df": found.df, "p_above": found.pvalue,
    }


def draws():
    for n in [5, 9, 10, 17, 40]:
        yield RANDOM.normal(0.02, 0.05, n)
        yield 0.01 + 0.03 * RANDOM.standard_t(2, n)


def estimates():
    """The geometric mean of trials, with the 95 % interval of Student's t on the logarithms."""
    for n in [3, 5, 12]:
        trials = np.exp(RANDOM.normal(16, 0.2, n))
        x = np.log(trials)
        low, high = stats.t.interval(0.95, n - 1, loc=x.mean(), scale=stats.sem(x))
        ends = {"value": stats.gmean(trials), "lower": np.exp(low), "upper": np.exp(high)}
        yield {"trials": trials.tolist(), **ends, "se": stats.sem(x)}


def best():
    """Each model against the sample best by scipy's paired t test, and Holm."""
    for n, k in [(3, 4), (5, 8), (12, 6)]:
        models = RANDOM.normal(0, 0.02, (k, n)) + RANDOM.normal(0, 0.1, n) + np.linspace(0, 0.08, k)[:, None]
        top = int(models.mean(axis=1).argmax())
        others = [i for i in range(k) if i != top]
        p = {i: stats.ttest_rel(models[i], models[top], alternative="less").pvalue for i in others}
        behind = [False] * k
        for rank, i in enumerate(sorted(others, key=p.get)):
            if p[i] > 0.05 / (len(others) - rank):
                break
            behind[i] = True
        loss = []
        for i in others:
            interval = stats.ttest_rel(models[i], models[top]).confidence_interval(0.95)
            loss.append({"model": i, "most": 1 - np.exp(interval.low)})
        yield {"models": models.tolist(), "best": top, "behind": behind, "loss": loss}


def discoveries():
    for n, rate in [(5, 0.05), (40, 0.05), (40, 0.2)]:
        p = RANDOM.uniform(0, 1, n) ** 3
        yield {"p": p.tolist(), "rate": rate, "found": (stats.false_discovery_control(p) <= rate).tolist()}


def exact():
    for hits, trials in [(0, 200), (1, 20), (3, 20), (113, 200), (20, 20), (0, 20), (19, 2000)]:
        for level in [0.95, 0.9]:
            found = stats.binomtest(hits, trials).proportion_ci(level, "exact")
            yield {"hits": hits, "trials": trials, "level": level, "low": found.low, "high": found.high}


def quantiles():
    for df in [2, 3, 5, 23, 39, 119.5, 2000]:
        for p in [0.8, 0.95, 0.975, 0.999, 1 - 0.05 / 200]:
            yield {"df": df, "p": p, "t": stats.t.ppf(p, df)}


def law(n, lam, sigma, kappa):
    return lam * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


def usl():
    """The Universal Scalability Law by least squares within its bounds, from many starts."""
    plants = [(100, 0.05, 0.001), (2e5, 0.3, 1e-5), (7, 0.0, 0.02), (1e4, 0.6, 0.0), (30, 0.01, 2e-4)]
    for plant in plants:
        n = np.array([1, 2, 4, 8, 16, 32, 64, 100], float)
        x = law(n, *plant) * (1 + 0.02 * RANDOM.normal(0, 1, len(n)))
        fits = []
        for start in [(0.01, 1e-4), (0.3, 1e-3), (0.5, 1e-6), (0.001, 0.01)]:
            # In units of the first throughput, so that the optimiser's tolerances mean the same for all.
            found, _ = optimize.curve_fit(
                law, n, x / x[0], p0=(1, *start), bounds=([0, 0, 0], [np.inf, 1, np.inf]),
                x_scale="jac", ftol=1e-15, xtol=1e-15, gtol=1e-15, max_nfev=100_000,
            )
            fits.append((np.sum((law(n, *found) - x / x[0]) ** 2), found))
        lam, sigma, kappa = min(fits, key=lambda fit: fit[0])[1]
        yield {"points": np.column_stack([n, x]).tolist(), "lambda": lam * x[0], "sigma": sigma, "kappa": kappa}


FOUND = {
    "scipy": scipy.__version__,
    "one": [one(values) for values in draws()],
    "two": [
        two(RANDOM.normal(13, 0.03, a).tolist(), RANDOM.normal(13.02, 0.1, b).tolist())
        for a, b in [(3, 5), (5, 12), (30, 20)]
    ],
    "discoveries": list(discoveries()),
    "exact": list(exact()),
    "quantiles": list(quantiles()),
    "usl": list(usl()),
    "estimates": list(estimates()),
    "best": list(best()),
}
print(json.dumps(FOUND, default=float))
