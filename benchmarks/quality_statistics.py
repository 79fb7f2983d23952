"""The comparisons behind the report of ``quality.py``: paired over folds, data sets as the sample."""

import numpy as np
import pandas as pd
from scipy import stats

TREES = 100
MEASURES = "average_precision", "log_loss", "f1"
GAMMAS = ("0", "0.5", "1", "2")
OURS = "ours gamma 0.5"
"""The arm with the defaults."""
CLASSES = {
    "LightGBM": "FocalLGBMClassifier",
    "XGBoost": "FocalXGBClassifier",
    "HistGradientBoosting": "FocalHistGradientBoostingClassifier",
}
LIBRARIES = tuple(CLASSES)


def read(path):
    """The results with the name of each model cut to what it is within its library."""
    lines = pd.read_csv(path)
    lines["arm"] = [model.removeprefix(f"{family} ") for model, family in zip(lines.model, lines.family, strict=True)]
    return lines


def plain(lines):
    """Those without label noise, with the usual number of trees."""
    return lines[(lines.trees == TREES) & (lines.noise == 0)]


def paired(lines, arm, opponent):
    """One line per data set, over the folds that both arms were trained on."""
    folds, of_set = ["data_set", "repeat", "fold"], ["classes", "minority", "rarest", "rows"]
    ours, its = (lines[lines.arm == name].set_index(folds) for name in (arm, opponent))
    both = ours[[*of_set, *MEASURES]].join(its[[*MEASURES]].add_suffix("_its"), how="inner")
    if both.empty:
        return pd.DataFrame()
    both["gain"] = both.average_precision - both.average_precision_its
    both["f1_gain"] = both.f1 - both.f1_its
    both["log_ratio"] = np.log((both.log_loss / both.log_loss_its).clip(1e-9))
    by_set = both.groupby("data_set")
    means = by_set.mean()
    means["ratio"] = means.log_loss / means.log_loss_its
    for name, values in (("spread", by_set.gain.std()), ("ratio_spread", by_set.log_ratio.std())):
        means[name] = values / np.sqrt(by_set.size())
    return means.rename(columns={"average_precision": "precision"}).reset_index()


def difference(values):
    """A mean with its standard error over the data sets, and on how many it is above and below 0."""
    error = f" ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}" if len(values) > 1 else ""
    return f"{values.mean():+.3f}{error} ({(values > 1e-9).sum()}/{(values < -1e-9).sum()})"


def geometric(ratios):
    """Geometric mean with the worst data set's."""
    worst = ratios.max()
    return f"{np.exp(np.log(ratios).mean()):.3f} ({f'{worst:.2f}' if worst < 100 else f'{worst:.0f}'})"


def p_value(values):
    """Wilcoxon's signed-rank test of no difference, two-sided, by its exact distribution; zeros are left out."""
    differences = np.asarray(values)[np.asarray(values) != 0]
    return stats.wilcoxon(differences, method="exact").pvalue if len(values) > 5 and len(differences) else np.nan


def markdown(header, rows):
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def parts_of(table):
    """Data sets of two classes and of several."""
    return [table[table.classes == 2], table[table.classes > 2]] if len(table) else [table, table]


OPPONENTS = {
    "LightGBM": "reg_lambda=1",
    "XGBoost": "base_score=0.5",
    "HistGradientBoosting": "l2_regularization=1",
    "Logistic": "as it comes",
    "CatBoost": "as it comes",
}
"""What `best_stock` says on the tables of docs/evidence.md; the same arm is the opponent on every other table."""


def opponent(lines):
    """The arm that a library's arms are compared with."""
    arm = OPPONENTS.get(lines.family.iloc[0])
    return arm if (lines.arm == arm).any() else best_stock(lines)


def best_stock(lines):
    """The library as it comes, or the one parameter of its own that gives it the least log loss on common folds.

    Class weights are left out: they are for decisions, their probabilities are those of another population.
    """
    one_parameter = (lines.arm == "as it comes") | ~lines.arm.str.contains(" ")
    candidates = lines[(lines.kind == "stock") & one_parameter & ~lines.arm.str.contains("balanced")]
    table = candidates.pivot_table(index=["data_set", "repeat", "fold"], columns="arm", values="log_loss").dropna()
    return np.log(table.groupby("data_set").mean()).mean().idxmin()


def against(lines, arms, opponent):
    """A table of arms against one: average precision and log loss, two classes and several.

    Arms that were not trained on all of the data sets that the opponent was are left out.
    """
    rows, sets = [], lines[lines.arm == opponent].groupby("data_set")["classes"].first()
    wanted = (sets == 2).sum(), (sets > 2).sum()
    for label, arm in arms:
        table = paired(lines, arm, opponent)
        parts = parts_of(table)
        if len(parts[0]) < wanted[0] or len(parts[1]) not in (0, wanted[1]):
            continue
        row = [label]
        for part in parts:
            if part.empty:
                row += ["", "", ""]
            elif arm == opponent:
                row += [f"{part.precision.mean():.3f}", "", "1"]
            else:
                row += [f"{part.precision.mean():.3f}", difference(part.gain), geometric(part.ratio)]
        rows.append([*row, f"{table.f1.mean():.3f}"])
    header = ["", "two classes: AP", "difference (won/lost)", "log loss (worst set)",
              "several: AP", "difference (won/lost)", "log loss (worst set)", "macro F1"]  # fmt: skip
    return markdown(header, rows)


def of(lines, family):
    """A library's lines."""
    return lines[lines.family == family]


def arms_of(lines, kind):
    """The library's arms of a kind, in the order in which they were run."""
    return [(f"{arm}", arm) for arm in lines[lines.kind == kind].arm.unique()]


OVER_ZERO = ["gamma 0.5: AP", "log loss", "gamma 1: AP", "log loss", "gamma 2: AP", "log loss"]


def over_zero(part, chosen=None):
    """Gamma against gamma 0, all else ours, on some of the data sets."""
    cells = []
    for gamma in GAMMAS[1:]:
        table = paired(part, f"ours gamma {gamma}", "ours gamma 0")
        table = table[chosen(table)] if chosen and len(table) else table
        cells += ["", ""] if table.empty else [difference(table.gain), geometric(table.ratio)]
    return cells


def gamma_by(lines, groups):
    """Gamma against gamma 0, group by group of data sets."""
    rows = []
    for family in LIBRARIES:
        for name, chosen in groups.items():
            cells = over_zero(of(lines, family), chosen)
            if any(cells):
                rows.append([family, name, *cells])
    return markdown(["", "sets", *OVER_ZERO], rows)


def conditions(lines, column, name, same):
    """Ours against the best stock arm, and gamma against gamma 0, as one condition of training changes."""
    rows = []
    for family in LIBRARIES[:2]:
        if (of(plain(lines), family).kind == "stock").sum() == 0:
            continue
        best, part = opponent(of(plain(lines), family)), of(lines[lines[same[0]] == same[1]], family)
        # The same folds of the same sets in each row.
        keys = list(zip(part.data_set, part.repeat, part.fold, strict=True))
        common = set.intersection(*part.assign(key=keys).groupby(column)["key"].agg(set))
        part = part[[key in common for key in keys]]
        for value in sorted(part[column].unique()):
            of_value = part[part[column] == value]
            table = paired(of_value, OURS, best)
            if len(table):
                cells = [f"{table.precision.mean():.3f}", difference(table.gain), geometric(table.ratio)]
                rows.append([family, name(value), *cells, *over_zero(of_value)])
    header = ["", "", f"{OURS}: AP", "over the best stock arm", "log loss"]
    return markdown([*header, *(f"over 0: {text}" if "gamma" in text else text for text in OVER_ZERO)], rows)
