"""Multivariate monitoring of a unit: values that are each unremarkable and together unlike anything in training.

PCA T² says how far the unit is from its centre along the ways it usually moves, Q how far it is off those ways. With
lags (dynamic PCA) the ways are paths through time.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from davylamp_wire.quality import Level
from numpy.typing import NDArray
from pydantic import Field

from davylamp_alarms.batch import Bools, Floats, Ints
from davylamp_alarms.columns import NEVER, Fields
from davylamp_alarms.warning.baseline import BASELINE, SETTLED, USUAL, BaselineSettings, BaselineState, follow, lag
from davylamp_alarms.warning.rule import (
    Evidence,
    Levels,
    Places,
    Samples,
    StatisticalRule,
    Verdict,
    added,
    bounded,
    indices,
    together,
)
from davylamp_alarms.warning.unit_model import UnitModel, unpacked

BAD = np.uint8(Level.BAD)


class UnitSettings(BaselineSettings):
    """T² or Q over its limit; back with both below `leave` of it.

    Args:
        inputs: How many tags a unit has.
        lags: How many earlier samples are looked at together with the newest; 0: none.
        tau_s: Each value counts as its mean over about this long; 0: as it is.
        share: Of the variance in training that the components kept explain; 1: all components, and no Q.
        missing: The share of a unit's tags that may be bad; with more the unit says nothing.
        gap_s: A silence after which earlier samples no longer count.
        every_s: Readings of such a stretch count as one sample, the mean of each input; 0: each is a sample.
    """

    inputs: int = Field(ge=2)
    lags: int = Field(0, ge=0, le=20)
    tau_s: float = Field(0.0, ge=0)
    share: float = Field(0.9, gt=0, le=1)
    missing: float = Field(0.5, ge=0, lt=1)
    gap_s: float = Field(3600.0, gt=0)
    every_s: float = Field(0.0, ge=0)
    leave: float = Field(0.7, gt=0, le=1)


class UnitState(BaselineState):
    """The model of each unit, as training (unit_training.py) found it, and its newest samples.

    An input whose `deviation` is NaN stood still in training, or was never there: it takes no part.

    Args:
        loadings: Component by component, shape (inputs · (lags + 1), the same, units); 0: not kept.
        variances: Of each component; inf: not kept.
        correlation: Of the inputs with each other, to stand in for bad ones.
        window: Standardised samples, the newest first, shape (inputs · (lags + 1), units).
        from_ms: When the stretch under way began; `sums`, `counts` and `worst` are of its usable readings, by input.
        met: What the last stretch showed, as `back`.
    """

    FIELDS: ClassVar[Fields] = {
        **BASELINE,
        "loadings": (np.float64, 0.0),
        "variances": (np.float64, np.inf),
        "correlation": (np.float64, 0.0),
        "t2_limit": (np.float64, np.inf),
        "q_limit": (np.float64, np.inf),
        "window": (np.float64, 0.0),
        "count": (np.uint8, 0),
        "last_ms": (np.int64, NEVER),
        "t2": (np.float64, np.nan),
        "q": (np.float64, np.nan),
        "from_ms": (np.float64, NEVER),
        "sums": (np.float64, 0.0),
        "counts": (np.uint32, 0),
        "worst": (np.uint8, Level.GOOD),
        "wrong": (np.bool_, False),
        "met": (np.bool_, False),
        "back": (np.bool_, False),
    }
    LEARNT: ClassVar[tuple[str, ...]] = ("model",)
    loadings: Floats
    variances: Floats
    correlation: Floats
    t2_limit: Floats
    q_limit: Floats
    window: Floats
    count: NDArray[np.uint8]
    last_ms: Ints
    t2: Floats
    q: Floats
    from_ms: Floats
    sums: Floats
    counts: NDArray[np.uint32]
    worst: Levels
    wrong: Bools
    met: Bools
    back: Bools

    @classmethod
    def settles_s(cls, settings: Any) -> float:
        """Return how long means, which begin at what is usual, take to be where the values are."""
        return SETTLED * float(settings.tau_s) + float(settings.every_s)

    @classmethod
    def counts_s(cls, settings: Any) -> float:
        """Return what a value counts for at most: after a longer silence it weighs no more."""
        return float(settings.tau_s) + float(settings.every_s)

    @classmethod
    def doubts_s(cls, settings: Any) -> float:
        """Return how long it takes until means, and the earlier samples they are looked at with, are of good values."""
        return cls.settles_s(settings) + float(settings.lags) * (cls.counts_s(settings) or 1.0)

    @classmethod
    def lesson(cls, settings: Any, said: Mapping[str, Any]) -> Any:
        """Return the model."""
        model = said.get("model")
        return None if model is None else unpacked(str(model), settings.inputs, settings.lags)

    def learn(self, places: NDArray[np.intp], lesson: Any) -> None:
        """Give units this model."""
        for place in places.tolist():
            self.put(place, lesson)

    def model(self, place: int) -> UnitModel:
        """Return the model that a unit has."""
        kept = np.isfinite(self.variances[:, place])
        return UnitModel(
            mean=self.mean[:, place],
            home=self.home[:, place],
            deviation=self.deviation[:, place],
            loadings=self.loadings[kept, :, place],
            variances=self.variances[kept, place],
            correlation=self.correlation[:, :, place],
            t2_limit=float(self.t2_limit[place]),
            q_limit=float(self.q_limit[place]),
        )

    def put(self, place: int, model: UnitModel) -> None:
        """Give a unit this model."""
        kept, at = len(model.variances), slice(place, place + 1)
        self.train(at, model.home[:, None], model.deviation[:, None])
        self.mean[:, place] = np.where(np.isnan(self.home[:, place]), np.nan, model.mean)
        self.loadings[:, :, place], self.variances[:, place] = 0.0, np.inf
        self.loadings[:kept, :, place], self.variances[:kept, place] = model.loadings, model.variances
        self.correlation[:, :, place] = model.correlation
        self.t2_limit[place], self.q_limit[place] = model.t2_limit, model.q_limit

    def leading(self, name: str) -> tuple[int, ...]:
        inputs, wide = self.settings.inputs, self.settings.inputs * (self.settings.lags + 1)
        return {
            **dict.fromkeys((*USUAL, "sums", "counts", "worst"), (inputs,)),
            "loadings": (wide, wide),
            "variances": (wide,),
            "correlation": (inputs, inputs),
            "window": (wide,),
        }.get(name, ())


def step(settings: UnitSettings, state: UnitState, places: Places, samples: Samples) -> Verdict:
    """Judge each unit's newest samples, or the means of the stretches that are over; until then what was said holds."""
    if not settings.every_s:
        return _judged(settings, state, places, samples)
    at = indices(places)
    over = samples.clock_ms - state.from_ms[at] >= settings.every_s * 1000
    ended = at[over & state.counts[:, at].any(axis=0)]
    if ended.size:
        verdict = _judged(settings, state, together(ended), _means(state, ended))
        state.met[ended], state.back[ended] = verdict.met, verdict.back
    _begin(state, at[over], samples.clock_ms[over])
    _add(state, at, samples)
    able, sound = _seen(settings, state, at, samples)
    return Verdict(state.met[at] & able, state.back[at] & able & sound)


def _means(state: UnitState, at: NDArray[np.intp]) -> Samples:
    """Return the means of the stretches under way; an input without a usable reading in it is bad."""
    counts = state.counts[:, at]
    level = np.where(counts > 0, state.worst[:, at], BAD).astype(np.uint8)
    return Samples(
        state.from_ms[at].astype(np.int64), state.sums[:, at] / np.maximum(counts, 1), level, state.wrong[at].copy()
    )


def _begin(state: UnitState, at: NDArray[np.intp], clock_ms: Floats) -> None:
    state.from_ms[at] = clock_ms
    state.sums[:, at], state.counts[:, at], state.worst[:, at] = 0.0, 0, Level.GOOD
    state.wrong[at] = False


def _add(state: UnitState, at: NDArray[np.intp], samples: Samples) -> None:
    """Add usable readings to the stretches under way."""
    usable = (samples.level < Level.BAD) & np.isfinite(samples.value)
    state.sums[:, at] += np.where(usable, samples.value, 0.0)
    state.counts[:, at] += usable
    state.worst[:, at] = np.maximum(state.worst[:, at], np.where(usable, samples.level, Level.GOOD))
    if samples.wrong is not None:
        state.wrong[at] |= samples.wrong


def _seen(settings: UnitSettings, state: UnitState, at: Places, samples: Samples) -> tuple[Bools, Bools]:
    """Return of which units enough inputs are there, and of which all are good."""
    used = ~np.isnan(state.deviation[:, at])
    there = (samples.level < Level.BAD) & np.isfinite(samples.value)
    able: Bools = used.any(axis=0) & ((used & ~there).sum(axis=0) <= settings.missing * used.sum(axis=0))
    sound: Bools = ((there & (samples.level == Level.GOOD)) | ~used).all(axis=0)
    return able, sound


def _judged(settings: UnitSettings, state: UnitState, places: Places, samples: Samples) -> Verdict:
    """Judge each unit's samples against its model.

    ``T² = Σ (pᵢ·x)² / λᵢ``, ``Q = |x|² - Σ (pᵢ·x)²`` over the components kept. A bad input counts as what the others
    let expect (its conditional mean in training): the unit can still meet the condition, and shows it gone only with
    every input good. A unit with too many bad inputs, one without a model and one with too few samples say nothing.

    Source: J. E. Jackson, G. S. Mudholkar, Technometrics 21 (1979) 341; W. Ku et al., Chemom. Intell. Lab. Syst. 30
    (1995) 179 (lags); F. Arteaga, A. Ferrer, J. Chemom. 16 (2002) 408 (missing values).
    """
    used = ~np.isnan(state.deviation[:, places])
    bad = used & ~((samples.level < Level.BAD) & np.isfinite(samples.value))
    able, sound = _seen(settings, state, places, samples)
    verdict = Verdict(np.zeros(len(able), np.bool_), np.zeros(len(able), np.bool_))
    where = np.flatnonzero(able)
    if where.size:
        part, at = samples.part(where), together(indices(places)[where])
        z = _standardised(state, at, part.value, used[:, where], bad[:, where])
        verdict.met[where], verdict.back[where] = _judge(settings, state, at, part, z, sound[where])
    return verdict


def _standardised(state: UnitState, at: Places, value: Floats, used: Bools, bad: Bools) -> Floats:
    """Return how unusual each input is, in deviations; 0 where it takes no part."""
    there = used & ~bad
    z = bounded((np.where(there, value, 0.0) - state.mean[:, at]) / state.deviation[:, at])
    z[~there] = 0.0
    for unit in np.flatnonzero(bad.any(axis=0)).tolist():
        z[bad[:, unit], unit] = _expected(
            state.correlation[:, :, indices(at)[unit]], z[:, unit], bad[:, unit], there[:, unit]
        )
    return z


def _expected(correlation: Floats, z: Floats, bad: Bools, there: Bools) -> Floats:
    """Return the conditional mean of the bad inputs, given the others."""
    known = correlation[np.ix_(there, there)] + RIDGE * np.eye(int(there.sum()))
    expected: Floats = correlation[np.ix_(bad, there)] @ np.linalg.solve(known, z[there])
    return expected


RIDGE = 1e-3
"""Added to correlations of inputs that say nearly the same, so that noise does not decide what stands in."""


def _judge(
    settings: UnitSettings, state: UnitState, at: Places, samples: Samples, z: Floats, sound: Bools
) -> tuple[Bools, Bools]:
    dt_s = (samples.time_ms - state.last_ms[at]) / 1000
    x = _take(settings, state, at, samples.time_ms, z, dt_s)
    scores = _scores(state.loadings[:, :, at], x)
    t2 = added(scores**2 / state.variances[:, at])
    q = np.maximum(added(x**2) - added(scores**2), 0.0)
    state.t2[at], state.q[at] = t2, q
    t2_limit, q_limit = state.t2_limit[at], state.q_limit[at]
    enough = state.count[at] > settings.lags
    met = enough & ((t2 >= t2_limit) | (q >= q_limit))
    back = enough & sound & (t2 < t2_limit * settings.leave) & (q < q_limit * settings.leave)
    follow(settings, state, at, samples, back)
    return met, back


def _scores(loadings: Floats, x: Floats) -> Floats:
    """Return ``p·x`` for each component, added input by input: a library's own order depends on how many units."""
    if x.shape[1] == 1:
        alone: Floats = np.add.accumulate(loadings[:, :, 0] * x[:, 0], axis=1)[:, -1:]
        return alone
    scores = np.zeros_like(x)
    for at, value in enumerate(x):
        scores += loadings[:, at] * value
    return scores


def _take(settings: UnitSettings, state: UnitState, at: Places, time_ms: Ints, z: Floats, dt_s: Floats) -> Floats:
    """Put the samples in front of the earlier ones and return the whole; a long silence leaves none."""
    inputs, window, count = settings.inputs, state.window[:, at], state.count[at]
    count = np.where(dt_s > settings.gap_s, 0, count).astype(np.uint8)
    if settings.tau_s:
        z = lag(np.where(count > 0, window[:inputs], 0.0), z, dt_s, settings.tau_s)
    x = np.concatenate([z, window[: inputs * settings.lags]])
    state.window[:, at], state.last_ms[at] = x, time_ms
    state.count[at] = np.minimum(count + 1, settings.lags + 1)
    return x


def evidence(settings: UnitSettings, state: UnitState, places: Places) -> Evidence:
    """Return T² and Q with their limits, and what each input adds to them, shape (inputs, units).

    ``t2_of = Σ xⱼ·(P Λ⁻¹ Pᵀ x)ⱼ`` over an input's lags, so that the inputs' shares add up to T²; ``q_of`` is the square
    of what is off the usual ways, and adds up to Q.

    Source: C. F. Alcala, S. J. Qin, Automatica 45 (2009) 1593, partial and complete decomposition contributions.
    """
    x, loadings = state.window[:, places], state.loadings[:, :, places]
    scores = _scores(loadings, x)
    along = np.einsum("cdn,cn->dn", loadings, scores / state.variances[:, places])
    off = x - np.einsum("cdn,cn->dn", loadings, scores)
    by_input = (settings.lags + 1, settings.inputs, -1)
    return {
        "t2": state.t2[places],
        "t2_limit": state.t2_limit[places],
        "q": state.q[places],
        "q_limit": state.q_limit[places],
        "t2_of": (x * along).reshape(by_input).sum(axis=0),
        "q_of": (off**2).reshape(by_input).sum(axis=0),
    }


UNIT = StatisticalRule(UnitSettings, UnitState, step, evidence)
