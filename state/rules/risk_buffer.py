"""The buffer that covers what sells while a channel still shows an older level.

Between the moment at which a level is derived and the one at which the channel shows it, its push lag, the
channel goes on selling from the old level. If demand is Poisson with the SKU's velocity as its rate, the
units sold meanwhile are Poisson with the mean

    m = velocity [units/day] * lag [days]

and the buffer is the smallest b for which more than b are sold with a probability of at most `risk`:

    P(X > b) = 1 - sum(k = 0..b, e^-m * m^k / k!) <= risk

This is the order-up-to level for a given chance of no stockout in a cycle, with Poisson demand over the lead
time: E. A. Silver, D. F. Pyke and D. J. Thomas, Inventory and Production Management in Supply Chains, 4th
edition, 2017, chapter 6; P. H. Zipkin, Foundations of Inventory Management, 2000, chapter 6.
"""

from decimal import Context, Decimal
from functools import lru_cache

from state.durations import DAY_MS

PPM = 1_000_000
EXACT_MAX = 2_000
"""Up to this mean the sum is worked out; it has about as many terms."""

_EXACT = Context(prec=40)


def risk_buffer(velocity_mpd: int, lag_ms: int, risk_ppm: int) -> int:
    """Return the buffer in units.

    Args:
        velocity_mpd: thousandths of a unit per day.
        lag_ms: the push lag of the channel.
        risk_ppm: the chance, in millionths, that more is sold meanwhile; at least 1.
    """
    mean_millionths = -(-velocity_mpd * lag_ms * 1_000 // DAY_MS)
    return quantile(mean_millionths, risk_ppm) if mean_millionths > 0 else 0


@lru_cache(maxsize=1 << 16)
def quantile(mean_millionths: int, risk_ppm: int) -> int:
    """Return the smallest b with P(X > b) <= risk, for X Poisson.

    Decimal arithmetic rounds the same way on every machine, so all processes decide alike. Beyond `EXACT_MAX`
    the answer is a little larger: by Bernstein's inequality P(X >= m + t) <= exp(-t^2 / (2 * (m + t / 3))).
    """
    mean = Decimal(mean_millionths) / PPM
    risk = Decimal(risk_ppm) / PPM
    if mean > EXACT_MAX:
        return _bound(mean, -risk.ln(_EXACT))
    wanted = 1 - risk
    term = total = mean.copy_negate().exp(_EXACT)
    units = 0
    while total < wanted:
        units += 1
        term = _EXACT.multiply(term, _EXACT.divide(mean, Decimal(units)))
        total = _EXACT.add(total, term)
    return units


def _bound(mean: Decimal, log_odds: Decimal) -> int:
    third = _EXACT.divide(log_odds, Decimal(3))
    under = _EXACT.add(_EXACT.multiply(third, third), _EXACT.multiply(2 * log_odds, mean))
    above = _EXACT.add(third, under.sqrt(_EXACT))
    return int(_EXACT.add(mean, above)) + 1
