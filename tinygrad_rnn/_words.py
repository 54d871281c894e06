"""Names that PyTorch and NumPy have for what is called otherwise here: told in errors."""

OURS = {
    "absolute": "abs",
    "addmm": "linear",
    "amax": "max",
    "amin": "min",
    "arctan": "atan",
    "as_tensor": "tensor",
    "bmm": "matmul",
    "cat": "concat",
    "clamp": "clip",
    "concatenate": "concat",
    "copy": "clone",
    "dim": "ndim",
    "expand": "broadcast_to",
    "from_numpy": "tensor",
    "index_select": "take",
    "long": "astype('int64')",
    "mm": "matmul",
    "movedim": "moveaxis",
    "numel": "size",
    "permute": "permute_dims",
    "power": "pow",
    "ravel": "flatten",
    "t": "T",
    "to": "astype",
    "transpose": "swapaxes",
    "type": "astype",
    "unbind": "unstack",
    "unsqueeze": "expand_dims",
    "view": "reshape",
}


def hint(message: str, name: str) -> str:
    """The message, with the name that is used here if another library's was given."""
    return f"{message}; it is called {OURS[name]} here" if name in OURS else message
