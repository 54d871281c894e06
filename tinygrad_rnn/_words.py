"""Names that PyTorch and NumPy have for what is called otherwise here: told in errors."""

OURS = {
    "absolute": "abs",
    "addmm": "linear",
    "amax": "max",
    "amin": "min",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "array": "asarray",
    "as_tensor": "tensor",
    "bmm": "matmul",
    "cat": "concat",
    "clamp": "clip",
    "concatenate": "concat",
    "copy": "clone",
    "diagflat": "diag",
    "dim": "ndim",
    "expand": "broadcast_to",
    "fabs": "abs",
    "from_numpy": "tensor",
    "grad_fn": "node",
    "index_select": "take",
    "long": "astype('int64')",
    "mm": "matmul",
    "mod": "remainder",
    "movedim": "moveaxis",
    "nelement": "size",
    "numel": "size",
    "permute": "permute_dims",
    "power": "pow",
    "requires_grad_": "requires_grad",
    "t": "T",
    "to": "astype",
    "transpose": "swapaxes",
    "row_stack": "vstack",
    "true_divide": "divide",
    "type": "astype",
    "unbind": "unstack",
    "unsqueeze": "expand_dims",
    "view": "reshape",
}
OF_TENSORS = {**OURS, "array_split": "split", "dot": "matmul", "ravel": "flatten"}
IN_NN = {  # losses are functions here
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "CosineEmbeddingLoss": "cosine_embedding_loss",
    "CosineSimilarity": "cosine_similarity",
    "CrossEntropyLoss": "cross_entropy",
    "GaussianNLLLoss": "gaussian_nll_loss",
    "HuberLoss": "huber_loss",
    "KLDivLoss": "kl_div",
    "L1Loss": "l1_loss",
    "MSELoss": "mse_loss",
    "NLLLoss": "nll_loss",
    "PoissonNLLLoss": "poisson_nll_loss",
    "SmoothL1Loss": "smooth_l1_loss",
}
OF_MODULES = {
    "double": "astype('float64')",
    "float": "astype('float32')",
    "to": "astype",
    "type": "astype",
}


def hint(message: str, name: str, words: dict[str, str] = OURS) -> str:
    """The message, with the name that is used here if another library's was given."""
    return f"{message}; it is called {words[name]} here" if name in words else message
