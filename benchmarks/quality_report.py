"""Report of the results of ``quality.py``, in Markdown. The data sets are the sample; folds are averaged first.

    python benchmarks/quality_report.py RESULT.csv [--into PAGE.md]

prints the blocks of the report. With ``--into`` it inserts them into a page between ``<!-- NAME -->`` and ``<!-- end
-->``.
"""

import argparse
import re
from pathlib import Path

import numpy as np
import pandas as pd
from quality_statistics import (
    CLASSES,
    GAMMAS,
    LIBRARIES,
    OURS,
    TREES,
    against,
    arms_of,
    conditions,
    difference,
    gamma_by,
    geometric,
    markdown,
    of,
    opponent,
    p_value,
    paired,
    parts_of,
    plain,
    read,
)

BIN_SETS = ("adb_http", "adb_smtp")
COLLAPSED = 0.7
"""A model has collapsed if its average precision, divided by that of the best arm of its library, is below this
number."""

PARTS = {
    "balanced bins": ("only bins", "without bins"),
    "bounded step": ("only bound", "without bound"),
    "start at the optimum": ("", "without start"),
    "scale of the loss": ("", "without scale"),
    "reg_lambda=1": ("", "without regularization"),
    "min_child_weight by the rarest class": ("", "without least leaf"),
    "gamma 0.5": ("only gamma 0.5", ""),
}


def headline(lines):
    """One table: each library with default parameters, its best arm, and skfocal with log loss and with the default
    gamma.
    """
    rows = []
    for family in LIBRARIES:
        part = of(plain(lines), family)
        if not (part.arm == OURS).any():
            continue
        best = opponent(part)
        named = {
            "as it comes": f"{family} as it comes",
            best: f"{family}, **`{best}`**" if best != "as it comes" else f"**{family} as it comes**",
            "ours gamma 0": f"`{CLASSES[family]}(0)`",
            OURS: f"**`{CLASSES[family]}({OURS.split()[2]})`**",
        }
        table = against(part, [(label, arm) for arm, label in named.items()], best)
        rows += table.splitlines()[(2 if rows else 0) :]
    return "\n".join(rows)


def arms(lines):
    """All arms that a user of a library can run, and skfocal at each gamma."""
    text = []
    for family in LIBRARIES:
        part = of(plain(lines), family)
        if not (part.kind == "stock").any():
            continue
        best = opponent(part)
        named = [(f"**{arm}**" if arm == best else arm, arm) for arm in part[part.kind == "stock"].arm.unique()]
        named += [(f"ours, `focal_gamma={gamma}`", f"ours gamma {gamma}") for gamma in GAMMAS]
        text.append(f"{family}, against `{best}`:\n\n" + against(part, named, best))
    return "\n\n".join(text)


def answer(lines):
    """The default compared with the best stock arm, with and without the two data sets for which the bins were
    designed.
    """
    rows = []
    for family in LIBRARIES:
        part = of(plain(lines), family)
        if not (part.arm == OURS).any():
            continue
        best = opponent(part)
        two, several = parts_of(paired(part, OURS, best))
        ordinary = two[~two.data_set.isin(BIN_SETS)]
        groups = {"two classes": two, "without KDD http and smtp": ordinary, "several classes": several}
        for name, table in groups.items():
            if table.empty or (table is ordinary and len(ordinary) == len(two)):
                continue
            worst = table.loc[table.ratio.idxmax()]
            rows.append([
                f"{CLASSES[family]}, `{best}`", f"{len(table)} sets of {name}" if table is not ordinary else name,
                difference(table.gain), f"{p_value(table.gain):.2f}", f"{np.exp(np.log(table.ratio).mean()):.3f}",
                f"{(table.ratio < 1).sum()} / {(table.ratio > 1).sum()}", f"{worst.ratio:.2f} ({worst.data_set})",
            ])  # fmt: skip
    header = [
        "class, opponent",
        "",
        "AP difference (won/lost)",
        "p",
        "log loss ratio",
        "lower / higher on",
        "worst set",
    ]
    return markdown(header, rows)


def collapse(lines):
    """Collapsed arms of each library."""
    families = [f for f in LIBRARIES if (of(plain(lines), f).kind == "ours").any()]
    return "\n".join("- " + collapses(of(plain(lines), family), family) for family in families)


def worse(lines):
    """Losses of skfocal against the best stock arm, on each data set."""
    text = []
    for family in LIBRARIES:
        part = of(plain(lines), family)
        if not (part.arm == OURS).any():
            continue
        table = paired(part, OURS, opponent(part)).sort_values("minority")
        for what, lost, shown in (
            ("average precision lower by more than 0.005", table.gain < -0.005, "gain"),
            ("log loss more than 3 % higher", table.ratio > 1.03, "ratio"),
            ("macro F1 lower by more than 0.01", table.f1_gain < -0.01, "f1_gain"),
        ):
            sign = "" if shown == "ratio" else "+"
            on = ", ".join(
                f"{name} ({value:{sign}.3f})"
                for name, value in zip(table.data_set[lost], table[shown][lost], strict=True)
            )
            text.append(f"- {family}, {what} on {lost.sum()} of {len(table)} sets{': ' if on else ''}{on}.")
    return "\n".join(text)


def collapses(lines, family):
    """Collapsed arms, and the data sets on which they collapse."""
    table = lines[lines.kind.isin(["stock", "ours"])].pivot_table(
        index="data_set", columns="arm", values="average_precision"
    )  # fmt: skip
    share = table.div(table.max(axis=1), axis=0)
    fallen = share.stack()
    fallen = fallen[fallen < COLLAPSED]
    named = [
        f"{arm} on {', '.join(f'{s} ({fallen[s, arm]:.3f})' for s in fallen.xs(arm, level='arm').index)}"
        for arm in share if arm in fallen.index.get_level_values("arm")
    ]  # fmt: skip
    return f"{family}, below {COLLAPSED} of the best arm's average precision: {'; '.join(named) or 'none'}."


def ablation(lines):
    """Gain of each part alone, added to the best stock arm, and of each part removed from skfocal."""
    text = []
    for family, stock, alone, last in (
        ("LightGBM", "reg_lambda=1", "reg_lambda=1", OURS), ("XGBoost", "as it comes", "as it comes", OURS)
    ):  # fmt: skip
        part = of(plain(lines), family)
        rows = []
        for name, (only, without) in PARTS.items():
            # The arm without the part is the opponent, so that a positive difference is the gain of the part.
            first = paired(part, only, alone) if only else pd.DataFrame()
            if name == "reg_lambda=1" and family == "LightGBM":
                first = paired(part, "reg_lambda=1", "as it comes")
            then = paired(part, last, f"{last} {without}" if without else "ours gamma 0")
            if first.empty and then.empty:
                continue
            rows.append([name, *_gains(first), *_gains(then)])
        if rows:
            header = ["", "alone: AP, two classes", "log loss", "AP, several", "log loss", "last: AP, two classes",
                      "log loss", "AP, several", "log loss"]  # fmt: skip
            text.append(f"{family}; alone: added to `{stock}`; last: added to the rest of ours at gamma 0.5:\n\n"
                        + markdown(header, rows))  # fmt: skip
    return "\n\n".join(text)


def _gains(table):
    """Difference and ratio on two classes and on several."""
    cells = []
    for part in parts_of(table):
        cells += ["", ""] if part.empty else [difference(part.gain), geometric(part.ratio)]
    return cells


def gamma(lines):
    """Effect of gamma by imbalance and by size."""
    table = gamma_by(plain(lines), {
        "all": lambda t: t.classes > 0,
        "two classes": lambda t: t.classes == 2,
        "several": lambda t: t.classes > 2,
        "rarest class below 1 %": lambda t: t.minority < 0.01,
        "1 to 5 %": lambda t: (t.minority >= 0.01) & (t.minority < 0.05),
        "5 % and more": lambda t: t.minority >= 0.05,
        "below 5,000 rows": lambda t: t.rows < 5000,
        "5,000 rows and more": lambda t: t.rows >= 5000,
    })  # fmt: skip
    # The rule for min_child_weight applies to gamma above 0. This line shows its part of the difference.
    by_rule = paired(of(plain(lines), "XGBoost"), OURS, "ours gamma 0 min_child_weight=0.4")
    if by_rule.empty:
        return table
    return (
        f"{table}\n\nXGBoost, gamma 0.5 over gamma 0 with `min_child_weight=0.4`, near what the class's rule gives on "
        f"KDD smtp: AP {difference(by_rule.gain)}, log loss {geometric(by_rule.ratio)}."
    )


def noise(lines):
    """Effect of flipped training labels."""
    return conditions(lines, "noise", lambda v: f"{v:.0%} flipped", ("trees", TREES))


def trees(lines):
    """Effect of the number of trees."""
    return conditions(lines, "trees", lambda v: f"{v} trees", ("noise", 0))


def sets(lines):
    """Skfocal compared with the best stock arm, on each data set."""
    lines, text = plain(lines), []
    families = [f for f in LIBRARIES if (of(lines, f).arm == OURS).any()]
    info = lines.groupby("data_set")[["rows", "classes", "minority", "rarest"]].first().sort_values("minority")
    tables = {f: paired(of(lines, f), OURS, opponent(of(lines, f))).set_index("data_set") for f in families}
    for name, row in info.iterrows():
        cells = [name, f"{row.rows:.0f}", f"{row.classes:.0f}", f"{row.minority:.2%}", f"{row.rarest:.0f}"]
        for table in tables.values():
            if name not in table.index:
                cells += ["", ""]
                continue
            it = table.loc[name]
            cells += [f"{it.precision:.3f} ({it.gain:+.3f} ± {it.spread:.3f})", f"{it.ratio:.2f}"]
        text.append(cells)
    header = ["", "rows", "classes", "rarest class", "its rows"]
    for family in families:
        header += [f"{family}: AP (difference ± error over folds)", "log loss ratio"]
    return markdown(header, text)


def choices(lines):
    """Candidates for the defaults, compared with the best stock arm."""
    text = []
    for family in LIBRARIES[:2]:
        part = of(plain(lines), family)
        if not (part.kind == "part").any():
            continue
        names = [f"ours gamma {g}" for g in GAMMAS]
        words = ("max_step", "without bound", "reg_lambda", "without reg", "min_child", "without bins")
        names += [
            arm
            for _, arm in arms_of(part, "part")
            if arm.startswith(("ours gamma 0.5", "ours gamma 1")) and any(word in arm for word in words)
        ]
        best = opponent(part)
        text.append(f"{family}, against `{best}`:\n\n" + against(part, [(name, name) for name in names], best))
    return "\n\n".join(text)


def others(lines):
    """Early stopping, balanced weights, tuned thresholds, logistic regression, CatBoost."""
    text, lines = [], plain(lines)
    for family in LIBRARIES[:2]:
        part = of(lines, family)
        if not (part.kind == "other").any():
            continue
        best = opponent(part)
        arms = [(a, a) for _, a in [("", best), ("", OURS), *arms_of(part, "other")]]
        text.append(f"{family}, against `{best}`:\n\n" + against(part, arms, best))
        lines_of_family = [bare_ranking(part, family), *(undone(part, family, gamma) for gamma in ("0", "0.5"))]
        text += [line for line in lines_of_family if line]
    for family in ("Logistic", "CatBoost"):
        part = of(lines, family)
        if part.empty:
            continue
        arms = [(a, a) for a in part.arm.unique()]
        if len(arms) > 1:
            text.append(f"{family}, against `as it comes`:\n\n" + against(part, arms, "as it comes"))
    outsider = lines[((lines.family == "CatBoost") & (lines.arm == "as it comes"))
                     | ((lines.family == "LightGBM") & (lines.arm.isin([OURS])))]  # fmt: skip
    if outsider.family.nunique() == 2:
        outsider = outsider.assign(arm=outsider.model)
        name = f"LightGBM {OURS}"
        text.append("CatBoost's log loss beside it:\n\n" + against(
            outsider, [(m, m) for m in (name, "CatBoost as it comes")], name
        ))  # fmt: skip
    return "\n\n".join(text)


def bare_ranking(part, family):
    """Whether the softmax of the scores ranks the rows of a class better than ``predict_proba``, for several
    classes.
    """
    text = []
    for gamma in GAMMAS[1:]:
        table = part[(part.arm == f"ours gamma {gamma}") & (part.classes > 2)]
        means = table.groupby("data_set")[["average_precision_bare", "average_precision"]].mean()
        if len(means):
            text.append(f"gamma {gamma} {difference(means.average_precision_bare - means.average_precision)}")
    if not text:
        return ""
    return (
        f"- {family}, macro average precision of the bare softmax over that of `predict_proba`, sets of several "
        f"classes: {', '.join(text)}."
    )


def undone(part, family, gamma):
    """Effect of ``calibration`` on the log loss: with and without the corrections for gamma and for class weights."""
    folds = ["data_set", "repeat", "fold"]
    ours, balanced = (
        part[part.arm == arm].set_index(folds)[["log_loss", "log_loss_bare", "log_loss_full"]]
        for arm in (f"ours gamma {gamma}", f"ours gamma {gamma} alpha balanced")
    )
    both = ours.join(balanced.add_suffix("_balanced"), how="inner").groupby("data_set").mean()
    if len(both) < part.data_set.nunique():
        return ""
    bare, full = both.log_loss_bare / both.log_loss, both.log_loss_full_balanced / both.log_loss
    left = both.log_loss_balanced / both.log_loss
    of_sets = f"of {len(both)}"
    return (
        f'- {family}, gamma {gamma}, log loss over that of `calibration="focus"` without alpha: bare sigmoid or '
        f"softmax {geometric(bare)}, higher on {(bare > 1 + 1e-9).sum()} {of_sets}; "
        f'`focal_alpha="balanced"` left in {geometric(left)}, '
        f'undone by `calibration="full"` {geometric(full)}, higher on {(full > 1).sum()} {of_sets}.'
    )


def run(lines):
    """Summary of the runs."""
    first = lines.groupby("data_set")[["rows", "classes"]].first()
    two, text = (first.classes == 2).sum(), []
    for family, part in plain(lines).groupby("family", sort=False):
        folds = [part[part.arm == arm].groupby("data_set").size() for arm in (opponent(part), OURS)]
        folds = pd.concat([f for f in folds if len(f)])
        text.append(f"{family} {part.arm.nunique()} arms, {len(part)} fits, the main arms on {folds.min()} to "
                    f"{folds.max()} folds of each set")  # fmt: skip
    return f"{len(first)} data sets ({two} of two classes, {len(first) - two} of several): {'; '.join(text)}."


BLOCKS = {
    f.__name__: f
    for f in (run, headline, answer, collapse, worse, arms, ablation, gamma, noise, trees, sets, choices, others)
}


def report(path, prefix=""):
    """All blocks, by name."""
    lines = read(path)
    return {prefix + name: block(lines) for name, block in BLOCKS.items()}


def write(path):
    """Write the report and the picture next to the CSV file, and return the report."""
    import quality_pictures

    blocks = report(path)
    summary = "\n\n".join(f"## {name}\n\n{text}" for name, text in blocks.items() if text)
    target = path.with_name(path.name.split(".")[0])
    target.with_suffix(".md").write_text(summary + "\n")
    quality_pictures.per_set(read(path), target.with_suffix(".png"))
    return summary


def insert(page, blocks):
    """The page with the blocks inserted."""

    def filled(match):
        if match[1] not in blocks:
            return match[0]
        return f"<!-- {match[1]} -->\n\n{blocks[match[1]]}\n\n<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", filled, page, flags=re.DOTALL)


def main():
    """Print the report, or insert it into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("--other", type=Path, help="results on data on which nothing was chosen: blocks other_...")
    parser.add_argument("--into", type=Path, help="a page to put the blocks into")
    options = parser.parse_args()
    blocks = report(options.result)
    if options.other:
        blocks |= report(options.other, "other_")
    if options.into:
        options.into.write_text(insert(options.into.read_text(), blocks))
    else:
        print("\n\n".join(f"## {name}\n\n{text}" for name, text in blocks.items() if text))


if __name__ == "__main__":
    main()
