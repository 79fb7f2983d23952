"""Speed of the PyTorch losses compared with PyTorch's own losses, as ratios of medians. Forward and backward alternate.

    python benchmarks/neural_speed.py [--repeats N] [--threads N ...]

A ratio uses the fastest of three medians, because other work on the machine can only increase the time. The bound
applies to gamma 2 and 0 without alpha. The other lines are printed for information.
"""

import argparse
from statistics import median
from time import perf_counter

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from skfocal.torch import BinaryFocalLoss, MulticlassFocalLoss

BOUND = 1.5


def medians(ours, reference, repeats):
    """Milliseconds of a forward and backward pass of each loss: the lowest of three medians. The two losses run
    alternately.
    """
    best = [float("inf"), float("inf")]
    for _ in range(3):
        times = ([], [])
        for _ in range(repeats):
            for run, kept in zip((ours, reference), times, strict=True):
                start = perf_counter()
                run()
                kept.append(1e3 * (perf_counter() - start))
        best = [min(b, median(kept)) for b, kept in zip(best, times, strict=True)]
    return best


def step(loss, logits, target):
    """Forward and backward pass."""

    def run():
        logits.grad = None
        loss(logits, target).backward()

    return run


def cases(dtype):
    """Name, skfocal's loss, PyTorch's loss, logits, target, and whether the bound applies."""
    logits = torch.randn(1_000_000, dtype=dtype, requires_grad=True)
    target = (torch.rand(1_000_000) < 0.1).to(dtype)
    reference = binary_cross_entropy_with_logits
    for gamma, alpha in ((2.0, None), (0.0, None), (1.3, None), (2.0, 0.25)):
        name = f"binary, 1M logits, gamma {gamma:g}, alpha {alpha}"
        yield name, BinaryFocalLoss(gamma, alpha), reference, logits, target, gamma != 1.3 and alpha is None
    soft = torch.rand(1_000_000, dtype=dtype)
    yield "binary, 1M logits, gamma 2, soft targets", BinaryFocalLoss(2.0), reference, logits, soft, False
    for n_rows, n_classes in ((200_000, 5), (10_000, 100), (1_000, 1_000)):
        logits = torch.randn(n_rows, n_classes, dtype=dtype, requires_grad=True)
        target = torch.randint(n_classes, (n_rows,))
        for gamma in (2.0, 1.3):
            name = f"multiclass, {n_rows:,} x {n_classes:,}, gamma {gamma:g}"
            yield name, MulticlassFocalLoss(gamma), cross_entropy, logits, target, n_classes == 5 and gamma == 2.0


def main():
    """Run and print every line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, help="pairs in a median")
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="numbers of threads to measure with")
    options = parser.parse_args()
    torch.manual_seed(0)
    print(f"{'work':<48} {'threads':>7} {'dtype':>8} {'ratio':>6} {'at most':>8} {'ours, ms':>9} {'PyTorch, ms':>12}")
    for threads in options.threads:
        torch.set_num_threads(threads)
        for dtype in (torch.float32, torch.float64):
            for name, loss, reference, logits, target, bounded in cases(dtype):
                ours, theirs = (step(f, logits, target) for f in (loss.to(dtype), reference))
                ours(), theirs()
                a, b = medians(ours, theirs, options.repeats)
                bound = f"{BOUND:.2f}" if bounded else ""
                name_of_dtype = str(dtype).removeprefix("torch.")
                print(
                    f"{name:<48} {threads:>7} {name_of_dtype:>8} {a / b:>6.2f} {bound:>8} {a:>9.1f} {b:>12.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
