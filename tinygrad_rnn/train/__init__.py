"""Series, windows, texts, batches, scaling, baselines, metrics and the training loop."""

from typing import TYPE_CHECKING as _TYPE_CHECKING, Any as _Any

from . import metrics as metrics
from .best import Best as Best
from .checkpoint import load as load, save as save
from .forcing import forcing_rate as forcing_rate
from .forecasting import baselines as baselines
from .forecasting.forecaster import Forecaster as Forecaster
from .forecasting.recurrent_forecaster import RecurrentForecaster as RecurrentForecaster
from .forecasting.rolling_origins import Judgement as Judgement, judge_rolling as judge_rolling
from .forecasting.scaling import Scaling as Scaling
from .forecasting.series import split as split, windows as windows
from .forecasting.table import Table as Table, read_table as read_table
from .loop import Epoch as Epoch, Fit as Fit, evaluate as evaluate, fit as fit
from .nested import detach as detach
from .ragged import bucketed as bucketed, padded as padded
from .reader import Reader as Reader
from .recomputed import recompute as recompute
from .run import Run as Run
from .stream import StreamBatches as StreamBatches
from .truncated import Window as Window, tbptt as tbptt
from .vocabulary import Vocabulary as Vocabulary

if _TYPE_CHECKING:
    from .estimators import (
        SequenceClassifier as SequenceClassifier,
        SequenceRegressor as SequenceRegressor,
    )


def __getattr__(name: str) -> _Any:
    """The estimators, made of scikit-learn's classes, are there once they are asked for."""
    if name in ("SequenceClassifier", "SequenceRegressor"):
        from . import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module 'tinygrad_rnn.train' has no attribute {name!r}")
