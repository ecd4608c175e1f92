"""What a failure means: an exit code, and words."""

from connectors.config import settings as environment
from connectors.config.policy_file import ConfigError
from connectors.log.base import LogRefused, UnknownTopic
from connectors.redis.embedded import EmbeddedError
from connectors.redis.server import ServerAway, ServerError
from flows.runtime.retry import Stopped, is_unavailable
from monitoring.server import AddressUnavailableError
from state.store.policy import NoPolicy

OK, FINDING, USAGE, AWAY_EXIT = 0, 1, 2, 3


def verdict(error: BaseException) -> tuple[int, str]:
    """Return the exit code that an error means, and the words for it.

    The engine raises its own errors from ours, so the chain of causes is searched.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, environment.SettingsError | ConfigError):
            return USAGE, "\n".join(str(problem) for problem in seen.problems)
        if isinstance(seen, UnknownTopic):
            return USAGE, f"{seen}; make it with `penstock init`"
        if isinstance(
            seen, ServerError | NoPolicy | EmbeddedError | AddressUnavailableError | LogRefused
        ):
            return USAGE, str(seen)
        if isinstance(seen, ServerAway | Stopped) or is_unavailable(seen):
            return AWAY_EXIT, str(seen) or "stopped while a server was away"
        seen = seen.__cause__ or seen.__context__
    return FINDING, f"{type(error).__name__}: {error}"
