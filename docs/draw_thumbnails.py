"""Draws pictures for the examples that print figures and draw none, from what they print: for the gallery.

    python docs/draw_thumbnails.py

It runs each of them and needs what they need: the extras cpu and onnx, onnxruntime and tqdm, on Linux.
"""

import re
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]


def printed_by(example: str) -> str:
    """What an example prints."""
    command = [sys.executable, ROOT / "examples" / f"{example}.py"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def draw(example: str, values: dict[str, float], unit: str) -> None:
    """Bars, one for each value, with the value beside it."""
    figure, ax = plt.subplots(figsize=(4, 2.8), layout="constrained")
    bars = ax.barh(list(values), list(values.values()), color=["#9ecae1"] * (len(values) - 1) + ["#3182bd"])
    ax.bar_label(bars, [f"{value:,.0f}" for value in values.values()], padding=3)
    ax.invert_yaxis()
    ax.margins(x=0.25)
    ax.set_xlabel(unit)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(ROOT / "docs" / "images" / f"{example}.png", dpi=120)


def main() -> None:
    """Run and draw all."""
    rows = dict(re.findall(r"^(model\.\w+) +([\d,]+) +\d+$", printed_by("serve_onnx"), flags=re.MULTILINE))
    rates = {name: float(rows[name].replace(",", "")) for name in ("model.pkl", "model.onnx")}
    draw("serve_onnx", rates, "rows a second")
    for library in ("lightgbm", "xgboost"):
        out = printed_by(f"larger_than_memory_{library}")
        (table,) = re.findall(r"table (\d+) MiB", out)
        (peak,) = re.findall(r"peak memory (\d+) MiB", out)
        draw(f"larger_than_memory_{library}", {"table": float(table), "peak memory": float(peak)}, "MiB")


if __name__ == "__main__":
    main()
