"""Classifier and regressor of sequences that follow scikit-learn (extra `forecast`)."""

import math
import os
from typing import Any, Self

import numpy as np

from .. import nn, ops, optim
from ..compiler import jit
from ..op import Array
from ..ops.random import Generator
from ..optim.options import checked, count
from ..recording import constant
from ..switches import no_grad
from .ragged import padded
from .reader import Reader
from .run import Run

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    raise ImportError(
        "train.SequenceClassifier and SequenceRegressor need scikit-learn 1.6 or later: "
        "pip install 'tinygrad_rnn[forecast]'"
    ) from None

CHUNK = 1024  # sequences predicted at a time


def _form(X: Any) -> str:
    """What X is: a "table" (N, T) of one feature, a "cube" (N, T, F), or a "ragged" list."""
    listed = isinstance(X, np.ndarray) and X.dtype.kind == "O" and X.ndim == 1
    if listed or isinstance(X, list | tuple):
        shapes = {np.shape(x) for x in X}
        if len(shapes) > 1 and all(shapes):
            return "ragged"
        return "cube" if {len(s) for s in shapes} == {2} else "table"
    return "cube" if getattr(X, "ndim", 2) == 3 else "table"


class _SequenceEstimator(BaseEstimator):  # type: ignore[misc]
    """What both share: options, X made a batch, training."""

    def __init__(
        self,
        cell: str = "gru",
        hidden: int = 32,
        layers: int = 1,
        bidirectional: bool = False,
        pooling: str = "last",
        dropout: float = 0.0,
        epochs: int = 60,
        batch_size: int = 32,
        lr: float = 1e-2,
        weight_decay: float = 0.0,
        clip_norm: float = 1.0,
        augment: Any = None,
        random_state: Any = None,
        eager: bool = False,
    ):
        self.cell, self.hidden, self.layers = cell, hidden, layers
        self.bidirectional, self.pooling, self.dropout = bidirectional, pooling, dropout
        self.epochs, self.batch_size, self.lr = epochs, batch_size, lr
        self.weight_decay, self.clip_norm, self.augment = weight_decay, clip_norm, augment
        self.random_state, self.eager = random_state, eager

    _columns: bool  # whether X is a table: its columns are counted

    def _arrays(self, X: Any, fitting: bool) -> tuple[Array, Array | None]:
        """Sequences (T, N, F), their lengths if those differ; ValueError for what X must not be."""
        form, lengths, name = _form(X), None, type(self).__name__
        if form == "table" and (fitting or self._columns):
            table = validate_data(self, X, dtype=np.float64, reset=fitting)
            x = table.T[:, :, None]
        elif form == "ragged":
            rows = [check_array(r, ensure_2d=False, dtype=np.float64, input_name="X") for r in X]
            x, lengths = padded([r[:, None] if r.ndim == 1 else r for r in rows])
        else:
            cube = check_array(X, allow_nd=True, dtype=np.float64, input_name="X")
            x = np.moveaxis(cube if cube.ndim == 3 else cube[:, :, None], 0, 1)
        if fitting:
            self._columns = form == "table"
            if not self._columns:
                self.n_features_in_ = x.shape[2]
        elif not self._columns and x.shape[2] != self.n_features_in_:
            raise ValueError(
                f"X has {x.shape[2]} features at each step, but {name} is expecting "
                f"{self.n_features_in_} features as input"
            )
        elif self._columns and form != "table":
            raise ValueError(f"{name} was fitted on a table of {self.n_features_in_} columns")
        return x, lengths

    def _scale(self, x: Array, lengths: Array | None) -> Array:
        return np.where(_inside(x, lengths), (x - self.mean_) / self.scale_, 0)

    def _train(
        self, X: Any, targets: Array, outputs: int, loss: Any, path: Any, resume: bool, shown: bool
    ) -> Self:
        """Fit the net to targets (N, ...) under `loss(prediction, target)`."""
        sizes = {"epochs": count, "batch_size": count}
        checked(type(self).__name__, sizes, epochs=self.epochs, batch_size=self.batch_size)
        x, lengths = self._arrays(X, fitting=True)
        known = x[np.broadcast_to(_inside(x, lengths), x.shape)].reshape(-1, x.shape[2])
        self.mean_, scale = known.mean(0), known.std(0)
        self.scale_ = np.where(scale > 0, scale, 1.0)
        x = self._scale(x, lengths).astype(np.float32)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        generator = Generator(seed)
        net = Reader(
            self.cell, x.shape[2], outputs, self.hidden, self.layers, self.bidirectional,
            self.pooling, self.dropout, generator,
        )  # fmt: skip

        def pass_(x: Any, y: Any, lengths: Any) -> Any:
            return loss(net(x, lengths), y)

        compiled = pass_ if self.eager else jit(pass_)
        optimizer = optim.AdamW(net.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        schedule = optim.lr_scheduler.CosineAnnealingLR(
            optimizer, self.epochs, eta_min=self.lr / 100
        )
        settings = {k: _named(v) for k, v in self.get_params().items() if k != "eager"}
        settings["random_state"] = str(seed)
        run = Run(
            path, self.epochs, resume=resume, every=10, settings=settings, progress=shown,
            label=type(self).__name__, model=net, optimizer=optimizer, schedule=schedule,
            generator=generator,
        )  # fmt: skip
        for _ in run:
            total = 0.0
            for rows in self._batches(len(targets), generator):
                batch = x[:, rows] if self.augment is None else self.augment(x[:, rows], generator)
                size = None if lengths is None else constant(lengths[rows])
                optimizer.zero_grad()
                value = compiled(constant(batch), constant(targets[rows]), size)
                value.backward()
                optim.clip_grad_norm_(optimizer.params, self.clip_norm)
                optimizer.step()
                total += float(value) * len(rows)
            schedule.step()
            run.log(loss=total / len(targets))
        self.loss_curve_ = run.history["loss"]
        # in float64 what is predicted of a sequence does not hang on its neighbours in the batch
        self.net_ = net.astype(np.float64).eval()
        return self

    def _batches(self, n: int, generator: Generator) -> list[Array]:
        """Row numbers in a drawn order, of equal sizes, or two: each is compiled by itself."""
        order = generator.permutation(n)
        return np.array_split(order, math.ceil(n / self.batch_size))

    def _outputs(self, X: Any) -> Array:
        check_is_fitted(self)
        x, lengths = self._arrays(X, fitting=False)
        x, parts = self._scale(x, lengths), []
        with no_grad():
            for start in range(0, x.shape[1], CHUNK):
                rows = slice(start, start + CHUNK)
                size = None if lengths is None else constant(lengths[rows])
                parts.append(self.net_(constant(x[:, rows]), size).numpy())
        return np.concatenate(parts)


def _named(value: object) -> str:
    """A setting as it is kept: of a function its name, since its address is another next time."""
    if callable(value):
        value = getattr(value, "__qualname__", type(value).__qualname__)
    return str(value)


def _inside(x: Array, lengths: Array | None) -> Array:
    """Where (T, N, 1) a batch is not padding."""
    if lengths is None:
        return np.ones((*x.shape[:2], 1), bool)
    inside: Array = (np.arange(len(x))[:, None] < lengths)[:, :, None]
    return inside


Path = str | os.PathLike[str] | None


class SequenceClassifier(ClassifierMixin, _SequenceEstimator):  # type: ignore[misc]
    """Classify sequences by a recurrent net, as a scikit-learn estimator.

    X is a table (N, T), each row a sequence of one feature; (N, T, F); or a list of arrays (T_n,)
    or (T_n, F). Features are standardised over all steps of the training data.
    `cell` is "gru", "lstm" or "rnn", `pooling` "last", "mean" or "max" over the steps;
    training is AdamW for `epochs` epochs with a cosine schedule. `augment` is a function
    of a batch (T, N, F), float32 and scaled, and a `tg.Generator`, which returns a batch to
    train on. `fit` takes a path for checkpoints and `resume=True` to go on from one, to the same
    bits. Also: `net_`, the `Reader`, in float64; `mean_`, `scale_`, `loss_curve_`.
    Raises ValueError for values that are not finite, and for X of another form than was fitted.

    >>> X = [[0.0, 0.1, 0.2, 0.4], [0.9, 0.7, 0.4, 0.0], [0.1, 0.2, 0.3, 0.4]] * 8
    >>> net = SequenceClassifier(hidden=4, epochs=20, random_state=0, eager=True)
    >>> net.fit(X, ["up", "down", "up"] * 8).predict([[0.0, 0.3, 0.5, 0.9]]).tolist()
    ['up']
    """

    def fit(
        self, X: Any, y: Any, *, checkpoint: Path = None, resume: bool = False,
        progress: bool = False,
    ) -> Self:  # fmt: skip
        """Train on sequences X and their classes y (N,)."""
        y = _checked(X, y, None)
        try:
            check_classification_targets(y)
            self.classes_, numbers = np.unique(y, return_inverse=True)
        except TypeError as error:  # None among strings
            raise ValueError(
                f"y: labels must be of one type that can be sorted ({error})"
            ) from None
        outputs = len(self.classes_)
        return self._train(X, numbers, outputs, nn.cross_entropy, checkpoint, resume, progress)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (N, classes), in the order of `classes_`."""
        p: Array = ops.softmax(self._outputs(X))
        return p

    def predict(self, X: Any) -> Array:
        """The most probable class of each sequence."""
        found = self._outputs(X).argmax(1)
        named: Array = self.classes_[found]
        return named


class SequenceRegressor(RegressorMixin, _SequenceEstimator):  # type: ignore[misc]
    """Predict a number for each sequence, as a scikit-learn estimator.

    X and all options are those of `SequenceClassifier`. Targets are standardised for training,
    and predictions scaled back.

    >>> X = np.random.default_rng(0).uniform(size=(64, 5))
    >>> net = SequenceRegressor(hidden=8, epochs=30, random_state=0, eager=True)
    >>> net.fit(X, X.sum(1)).score(X, X.sum(1)) > 0.9
    True
    """

    def fit(
        self, X: Any, y: Any, *, checkpoint: Path = None, resume: bool = False,
        progress: bool = False,
    ) -> Self:  # fmt: skip
        """Train on sequences X and their numbers y (N,), by the mean squared error."""
        y = _checked(X, y, np.float64)
        self.level_, self.spread_ = float(y.mean()), float(y.std()) or 1.0
        targets = ((y - self.level_) / self.spread_).astype(np.float32)[:, None]
        return self._train(X, targets, 1, nn.mse_loss, checkpoint, resume, progress)

    def predict(self, X: Any) -> Array:
        """A number for each sequence."""
        y = self._outputs(X)[:, 0]
        found: Array = self.level_ + self.spread_ * y
        return found


def _checked(X: Any, y: Any, dtype: Any) -> Array:
    """y in one row, as long as X, and finite."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    found: Array = check_array(y, ensure_2d=False, dtype=dtype, input_name="y")
    return found
