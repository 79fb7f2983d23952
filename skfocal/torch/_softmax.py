"""Focal loss of K scores per row, with analytic derivatives, and their probabilities. May import ``_kernels``, PyTorch.

A score of minus infinity marks an impossible class, whose p is 0 for any other scores. A constant that is added to all
scores of a row is removed first, so that the differences of the scores lose no digits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import logsigmoid

from skfocal.torch._kernels import FAR, Gamma, Grads, add, focal, power


def softmax_loss(z: Tensor, t: Tensor, gamma: Gamma) -> Tensor:
    """The loss of `SoftmaxFunction`, (n,), differentiable."""
    if torch.compiler.is_compiling():
        return focal(margin(z, t.unsqueeze(1))[0].squeeze(1), gamma, 0)[0]
    result: Tensor = SoftmaxFunction.apply(z, t, gamma)[0]
    return result


class SoftmaxFunction(Function):
    """``FL(u)`` of K scores per row with ``u = z_t - logsumexp(the other z)``, (n,), and its gradient, (n, K).

    ``z`` (n, K) scores, ``t`` (n,) class indices, ``gamma`` a number or (n,). With pi the softmax over the other
    classes (``pi_t = 0``), ``d = du/dz``, that is 1 at t and -pi elsewhere, and a direction x::

        gradient    = FL'(u) * d
        Hessian . x = FL''(u) * (d.x) * d - FL'(u) * pi * (x - pi.x)
    """

    @staticmethod
    def forward(z: Tensor, t: Tensor, gamma: Gamma) -> tuple[Tensor, Tensor]:
        t = t.unsqueeze(1)
        others = z.scatter(1, t, -torch.inf)
        top = _top(others)
        # In place, because new memory for each step would cost as much as the step.
        pi = others.sub_(top).exp_()
        total = pi.sum(1, keepdim=True)
        u = (z.gather(1, t) - top - total.log()).squeeze(1)
        loss, slope = focal(u, gamma, 1)
        slope = slope.unsqueeze(1)
        # The total contains the 1 of the top class, unless no other class is possible. Then pi is 0 everywhere.
        return loss, pi.mul_(-slope / total.clamp(min=1.0)).scatter_(1, t, slope)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        z, t, gamma = inputs
        ctx.gamma_is_number = isinstance(gamma, float)
        ctx.gamma = gamma if ctx.gamma_is_number else None
        ctx.set_materialize_grads(False)
        saved = (z, t, output[1]) if ctx.gamma_is_number else (z, t, output[1], gamma)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)

    @staticmethod
    def backward(ctx: Any, by_loss: Tensor | None, by_gradient: Tensor | None) -> Grads:
        z, t, gradient, *rest = ctx.saved_tensors
        to_z = None if by_loss is None else by_loss.unsqueeze(1) * gradient
        if by_gradient is not None:
            to_z = add(to_z, hessian_product(z, t, rest[0] if rest else ctx.gamma, by_gradient))
        return to_z, None, None

    @staticmethod
    def jvp(ctx: Any, z_t: Tensor, *_: None) -> tuple[Tensor, Tensor]:
        z, t, gradient, *rest = ctx.saved_tensors
        return (gradient * z_t).sum(1), hessian_product(z, t, rest[0] if rest else ctx.gamma, z_t)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], z: Tensor, t: Tensor, gamma: Gamma) -> Any:
        def rows(x: Tensor, d: int | None) -> Tensor:
            x = x.expand(info.batch_size, *x.shape) if d is None else x.movedim(d, 0)
            return x.flatten(0, 1)

        per_row = gamma if isinstance(gamma, float) else rows(gamma, in_dims[2])
        loss, gradient = SoftmaxFunction.apply(rows(z, in_dims[0]), rows(t, in_dims[1]), per_row)
        return tuple(x.unflatten(0, (info.batch_size, -1)) for x in (loss, gradient)), (0, 0)


def hessian_product(z: Tensor, t: Tensor, gamma: Gamma, x: Tensor) -> Tensor:
    """The Hessian of each row's loss times its direction ``x``, (n, K), differentiable."""
    t = t.unsqueeze(1)
    u, pi = margin(z, t)
    _, slope, curvature = (f.unsqueeze(1) for f in focal(u.squeeze(1), gamma, 2))
    # Directions are relative to the top class m, so that x - pi.x does not suffer from the cancellation in 1 - pi_m.
    x_m = x.gather(1, pi.argmax(1, keepdim=True))
    x_t, x = x.gather(1, t) - x_m, x - x_m
    along_pi = (pi * x).sum(1, keepdim=True)
    d = (-pi).scatter(1, t, 1.0)
    return curvature * (x_t - along_pi) * d - slope * pi * (x - along_pi)


def _top(others: Tensor) -> Tensor:
    """The largest score of each row, (n, 1). It is 0 if all scores are minus infinity, so that these remain
    unchanged.
    """
    top = others.amax(1, keepdim=True)
    return torch.where(top == -torch.inf, 0.0, top)


def margin(z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """``z_t - logsumexp(the other z)``, (n, 1), and the softmax over the others, (n, K), 0 at t; differentiable.

    The margin is infinite, with derivatives of 0, if no other class is possible.
    """
    others = z.scatter(1, t, -torch.inf)
    top = _top(others.detach())
    pi = torch.exp(others - top)
    total = pi.sum(1, keepdim=True)
    # The total contains the 1 of the top class. The clamp avoids 0/0 in autograd if there is no top class.
    some = total.clamp(min=1.0)
    log_total = torch.where(total > 0, some.log(), -torch.inf)
    return z.gather(1, t) - top - log_total, pi / some


def log_probabilities(z: Tensor) -> tuple[Tensor, Tensor]:
    """``log p_k`` and ``log(1 - p_k)`` of K scores per row, (n, K), accurate to the last digits and differentiable."""
    top = z.argmax(1, keepdim=True)
    is_top = torch.zeros_like(z, dtype=torch.bool).scatter(1, top, True)
    # Only the top class can have 1 - p_k near 0. Its u is computed from the sum of the others.
    u, _ = margin(z, top)
    log_p = torch.where(is_top, logsigmoid(u), z - z.gather(1, top) + logsigmoid(u))
    log_q = torch.log1p(-torch.exp(log_p.masked_fill(is_top, -1.0)))
    return log_p, torch.where(is_top, logsigmoid(-u), log_q)


def soft_loss(z: Tensor, weight: Tensor, gamma: Gamma) -> Tensor:
    """Sum over the classes k of ``weight_k * -q_k**gamma_k * log p_k``, (n,); ``gamma`` a number or (K,)."""
    log_p, log_q = log_probabilities(z)
    # For an impossible class with the weight 0, 0 times infinity is 0 here, as in the expectation over the classes.
    log_p = torch.where((weight == 0) & (log_p == -torch.inf), 0.0, log_p)
    # At very low scores q is 1. Without the cut, autograd multiplies the derivative of q**gamma, which is 0, by an
    # infinite log p.
    by_class = torch.where(log_p < FAR, log_p, power(log_q, gamma) * log_p.clamp(min=FAR))
    return -(weight * by_class).sum(1)


def log_w(log_p: Tensor, log_q: Tensor, gamma: Gamma) -> Tensor:
    """``gamma*log q + log1p(gamma*p*r)``, ``r = -log(p)/q``: the log of the gradient's ratio to cross-entropy's.

    Infinite logarithms give a large finite value, so that differences of two values are defined.
    """
    q, limits = torch.exp(log_q), torch.finfo(log_q.dtype)
    # If q underflows, r is 1; the inner where avoids 0/0 in autograd. At very low scores p*r is 0.
    r = torch.where(q > limits.tiny, -log_p.clamp(min=FAR) / torch.where(q > limits.tiny, q, 1.0), 1.0)
    lowest = limits.min / 4
    log_qg = (gamma * log_q.clamp(min=lowest)).clamp(min=lowest)
    return log_qg + torch.log1p(gamma * torch.exp(log_p) * r)
