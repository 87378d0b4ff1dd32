"""What NumPy, SciPy and statsmodels say of a table; called by tests/python.rs with the path of its CSV, prints JSON.

Each case is a list of numbers, in the order in which the question of the same name gives them: by row, then by column.
"""

import csv
import json
import sys

import numpy as np
import scipy.stats
import statsmodels.api as sm

with open(sys.argv[1], newline="") as file:
    rows = list(csv.DictReader(file))
number = lambda name: np.array([float(row[name]) if row[name] != "NA" else np.nan for row in rows])
text = lambda name: np.array([row[name] for row in rows])
y, x, z, w, hit, count = (number(name) for name in ("y", "x", "z", "w", "hit", "count"))
k, f = text("k"), text("f")
whole = ~np.isnan(x)
groups = sorted(set(k))
cases = {}


def design(of):
    """Constant, x, z, and the treatment contrasts of f, for rows that lack nothing."""
    levels = sorted(set(f[of]))[1:]
    return np.column_stack([np.ones(of.sum()), x[of], z[of], *((f[of] == level) * 1.0 for level in levels)])


def terms(fit):
    return np.column_stack([fit.params, fit.bse, fit.tvalues, fit.pvalues]).ravel().tolist()


def by_group(one):
    return [value for group in groups for value in one((k == group) & whole)]


def linear(of):
    return terms(sm.OLS(y[of], design(of)).fit())


def weighted(of):
    fit = sm.WLS(y[of], design(of), weights=w[of]).fit()
    return [fit.rsquared, fit.rsquared_adj, fit.fvalue, fit.f_pvalue, fit.mse_resid, fit.df_resid]


def generalised(response, family):
    def one(of):
        return terms(sm.GLM(response[of], design(of), family=family, var_weights=w[of]).fit(tol=1e-12))
    return one


def whole_fit(response, family):
    fit = sm.GLM(response[whole], design(whole), family=family).fit(tol=1e-12)
    return [fit.deviance, fit.null_deviance, fit.aic, fit.llf, fit.df_resid]


cases["linear regressions"] = by_group(linear)
cases["weighted linear regressions"] = by_group(weighted)
cases["logistic regressions"] = by_group(generalised(hit, sm.families.Binomial()))
cases["Poisson regressions"] = by_group(generalised(count, sm.families.Poisson()))
cases["a logistic regression"] = whole_fit(hit, sm.families.Binomial())
cases["a Poisson regression"] = whole_fit(count, sm.families.Poisson())

g1 = lambda values: scipy.stats.skew(values, bias=True)
g2 = lambda values: scipy.stats.kurtosis(values, bias=True)
cases["moments"] = by_group(lambda of: [
    x[of].mean(), x[of].var(ddof=1), x[of].std(), scipy.stats.sem(x[of]), g1(x[of]), g2(x[of]),
    scipy.stats.gmean(w[of] + 1), scipy.stats.hmean(w[of] + 1)])
cases["quantiles"] = by_group(lambda of: [
    np.median(x[of]), *np.quantile(x[of], [0.05, 0.9]), np.quantile(x[of], 0.3, method="inverted_cdf"),
    scipy.stats.iqr(x[of]), scipy.stats.median_abs_deviation(x[of])])
cases["pairs"] = by_group(lambda of: [
    np.cov(x[of], y[of])[0, 1], np.corrcoef(x[of], y[of])[0, 1], *scipy.stats.linregress(x[of], y[of])[:2],
    np.average(x[of], weights=w[of])])
table = np.column_stack([x, y, z])[whole]
cases["covariances"] = np.cov(table, rowvar=False).ravel().tolist()
cases["correlations"] = np.corrcoef(table, rowvar=False).ravel().tolist()
cases["sums of products"] = (table.T @ table).ravel().tolist()
variances, axes = np.linalg.eigh(np.corrcoef(table, rowvar=False))
cases["principal components"] = [
    value
    for variance, axis in sorted(zip(variances, axes.T), key=lambda pair: -pair[0])
    for value in [variance, *(axis * np.sign(axis[np.argmax(np.abs(axis))]))]]
cases["a histogram"] = np.histogram(x[whole], bins=7, range=(-4, 4))[0].tolist()
json.dump({name: [float(value) for value in values] for name, values in cases.items()}, sys.stdout)
