"""Schedules against torch.optim.lr_scheduler, step by step, and their use in a rule."""

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from helpers import QUICK_TRACKERS, advance, engine_of, full_batches, make_run, same_bits
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR, StepLR

from featlearn.optim import GSAM, SAM, SGD, USAM
from featlearn.optim.schedules import Constant, Cosine, FollowLR, StepDecay
from featlearn.simulation import block_key, simulate_block

STEPS, LR = 60, 0.3


def rates(make):
    """The learning rates of torch at every step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler, found = make(optimizer), []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def warmed(warmup, make):
    """A schedule of torch after a linear warm-up."""

    def both(optimizer):
        first = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
        return SequentialLR(optimizer, [first, make(optimizer)], milestones=[warmup])

    return both


def step_lr(optimizer):
    return StepLR(optimizer, step_size=7, gamma=0.4)


def cosine_lr(optimizer):
    return CosineAnnealingLR(optimizer, T_max=STEPS, eta_min=0.1 * LR)


@pytest.mark.parametrize(
    ("schedule", "theirs"),
    [
        (StepDecay(every=7, gamma=0.4), step_lr),
        (Cosine(steps=STEPS, final=0.1), cosine_lr),
        (Constant(warmup=9), lambda optimizer: LinearLR(optimizer, start_factor=0.1, total_iters=9)),
        (StepDecay(every=7, gamma=0.4, warmup=5), warmed(5, step_lr)),
        (Cosine(steps=STEPS, final=0.1, warmup=12), warmed(12, cosine_lr)),
    ],
    ids=["step", "cosine", "warm-up", "warm-up, step", "warm-up, cosine"],
)
def test_rates_are_those_of_torch(schedule, theirs):
    rule = SGD(lr=LR, lr_schedule=schedule)
    ours = [rule.rate(t) for t in range(STEPS)]
    assert ours == pytest.approx(rates(theirs), rel=1e-12)
    assert len(set(ours)) > 3


def test_a_warm_up_ends_at_the_full_rate_and_a_cosine_at_its_end():
    factors = [Cosine(steps=10, final=0.2, warmup=3).factor(t) for t in range(30)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert all(a > b for a, b in pairwise(factors[3:14]))
    assert factors[13:] == pytest.approx([0.2] * 17, rel=1e-15)


@pytest.mark.parametrize("cls", [SAM, USAM])
def test_a_radius_follows_the_learning_rate_or_its_own_schedule(cls):
    base = SGD(lr=0.2, lr_schedule=Cosine(steps=20, warmup=4))
    follows = cls(rho=0.1, rho_schedule=FollowLR(), base=base)
    assert [follows.radius(t) / 0.1 for t in range(20)] == pytest.approx([base.rate(t) / 0.2 for t in range(20)])
    decays = cls(rho=0.1, rho_schedule=StepDecay(every=5, gamma=0.5), base=base)
    assert [decays.radius(t) for t in (0, 4, 5, 10)] == [0.1, 0.1, 0.05, 0.025]
    assert cls(rho=0.1, base=base).radius(7) == 0.1


def test_a_radius_follows_between_its_lowest_and_its_highest():
    """Zhuang et al. 2022: rho_min + (rho_max - rho_min) (lr_t - lr_min) / (lr_max - lr_min)."""
    base = SGD(lr=0.2, lr_schedule=Cosine(steps=20, final=0.1, warmup=4))
    rule = GSAM(rho=0.6, alpha=0.4, rho_schedule=FollowLR(lr_final=0.1, final=0.25), base=base)
    expected = [0.15 + 0.45 * (base.rate(t) - 0.02) / (0.2 - 0.02) for t in range(40)]
    assert [rule.radius(t) for t in range(40)] == pytest.approx(expected, rel=1e-12)
    assert (rule.radius(4), rule.radius(39)) == pytest.approx((0.6, 0.15))


def test_a_radius_that_follows_never_falls_below_zero():
    base = SGD(lr=0.2, lr_schedule=Constant(warmup=9))
    rule = SAM(rho=0.6, rho_schedule=FollowLR(lr_final=0.5), base=base)
    assert [rule.radius(t) for t in (0, 3, 4)] == [0, 0, 0] < [rule.radius(5)]
    assert rule.radius(6) == pytest.approx(0.6 * (0.7 - 0.5) / 0.5)


@pytest.mark.parametrize("follow", [FollowLR(), FollowLR(lr_final=0.3, final=0.5), FollowLR(final=1.0)])
def test_a_constant_rate_gives_a_constant_radius(follow):
    assert {SAM(rho=0.6, rho_schedule=follow, base=SGD(lr=0.2)).radius(t) for t in range(9)} == {0.6}


def test_the_radius_of_gsam_follows_unless_another_schedule_is_given():
    base = SGD(lr=0.2, lr_schedule=Cosine(steps=20))
    rule = GSAM(rho=0.6, alpha=0.4, base=base)
    assert [rule.radius(t) for t in range(20)] == pytest.approx([3 * base.rate(t) for t in range(20)])
    assert len({rule.radius(t) for t in range(20)}) == 20
    assert {replace(rule, rho_schedule=Constant()).radius(t) for t in range(20)} == {0.6}
    with pytest.raises(ValueError, match="Plain has no lr_schedule; give another"):
        GSAM(rho=0.6, alpha=0.4, base=Plain(lr=0.1))
    assert GSAM(rho=0.6, alpha=0.4, rho_schedule=Constant(), base=Plain(lr=0.1)).radius(3) == 0.6
    constant = GSAM(rho=0.1, alpha=0.0, base=SGD(lr=0.1))
    runs = [make_run(rule, record__trackers=QUICK_TRACKERS) for rule in (constant, SAM(rho=0.1, base=SGD(lr=0.1)))]
    ends = [simulate_block([run])[0].values["train_loss"] for run in runs]
    assert ends[0].tolist() == ends[1].tolist()


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A base without a schedule."""

    lr: float


def test_a_radius_cannot_follow_a_missing_schedule():
    with pytest.raises(ValueError, match="rho_schedule cannot follow lr: Plain has no lr_schedule"):
        SAM(rho=0.1, rho_schedule=FollowLR(), base=Plain(lr=0.1))


@pytest.mark.parametrize("engine", ["gram", "weights"])
def test_a_step_is_taken_at_the_rate_and_radius_of_its_time(engine):
    """Step t of a schedule is the step of a rule whose numbers are those of step t."""
    rule = SAM(
        rho=0.3,
        rho_schedule=StepDecay(every=2, gamma=0.5),
        base=SGD(lr=0.2, momentum=0.5, lr_schedule=Cosine(steps=8, warmup=2)),
    )
    built = engine_of(make_run(rule, engine=engine))
    batches, (w, memory) = full_batches(built, 6), (built.initial(), rule.init(built.initial()))
    for t, batch in enumerate(batches):
        now = SAM(rho=rule.radius(t), base=SGD(lr=rule.base.rate(t), momentum=0.5))
        w, memory = advance(built, now, [batch], w, memory, t)
    ours = advance(built, rule, batches)[0]
    assert torch.allclose(built.align(ours), built.align(w), rtol=1e-13, atol=0)
    assert not torch.allclose(built.align(ours), built.align(advance(built, now, batches)[0]), rtol=1e-3)


def test_schedules_of_other_numbers_share_a_block_and_keep_their_bits():
    rule = SAM(rho=0.1, base=SGD(lr=0.1))
    schedules = [StepDecay(every=3, gamma=gamma) for gamma in (0.3, 0.5, 1.0)]
    rules = [replace(rule, rho_schedule=s, base=replace(rule.base, lr_schedule=s)) for s in schedules]
    runs = [make_run(rule, record__trackers=QUICK_TRACKERS) for rule in rules]
    assert len({block_key(run) for run in runs}) == 1
    together = simulate_block(runs)
    assert all(same_bits(a, simulate_block([run])[0]) for a, run in zip(together, runs, strict=True))
    assert len({t.values["train_loss"][-1] for t in together}) == 3
    falling = replace(rule, base=replace(rule.base, lr_schedule=Cosine(steps=20)))
    follow = [FollowLR(final=x, lr_final=low) for x, low in ((0.0, 0.0), (0.5, 0.0), (0.3, 0.2))]
    runs = [make_run(replace(falling, rho_schedule=s), record__trackers=QUICK_TRACKERS) for s in follow]
    together = simulate_block(runs)
    assert all(same_bits(a, simulate_block([run])[0]) for a, run in zip(together, runs, strict=True))
    assert len({t.values["train_loss"][-1] for t in together}) == 3
    other = make_run(replace(rules[0], rho_schedule=StepDecay(every=4)))
    assert block_key(other) != block_key(runs[0])


def test_no_schedule_is_the_constant_one_bit_for_bit():
    plain = SGD(lr=0.1)
    assert plain == SGD(lr=0.1, lr_schedule=Constant()) and plain.rate(5) == 0.1
