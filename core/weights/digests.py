"""Identity of a set of tensors: a hash per tensor and one digest over all of them.

    tensor hash = SHA-256 of dtype, shape and the little-endian row-major bytes
    digest      = SHA-256 over the lines "name hash", ordered by name

The two levels let a version whose few tensors changed be identified by hashing those alone.
"""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn


def hash_tensor(tensor: Tensor) -> str:
    """Return the SHA-256 (hex) of a tensor's dtype, shape and values; its device does not matter."""
    plain = tensor.detach().to("cpu").contiguous()
    hasher = hashlib.sha256(f"{plain.dtype} {tuple(plain.shape)}\n".encode())
    if plain.numel():
        hasher.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def unique_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of ``model.state_dict()``, tied ones once, under the first of their names in sorted order."""
    seen: set[tuple[object, ...]] = set()
    tensors: dict[str, Tensor] = {}
    for name, tensor in sorted(model.state_dict().items()):
        place = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
        if tensor.numel() and place in seen:
            continue
        seen.add(place)
        tensors[name] = tensor
    return tensors


def hash_tensors(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the hash of each tensor by name; several are hashed at once, for hashing lets other threads run."""
    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as hashing:
        return dict(zip(tensors, hashing.map(hash_tensor, tensors.values()), strict=True))


def digest_of(hashes: Mapping[str, str]) -> str:
    """Return the digest of a set of tensors, given the hash of each by name."""
    hasher = hashlib.sha256()
    for name, tensor_hash in sorted(hashes.items()):
        hasher.update(f"{name} {tensor_hash}\n".encode())
    return hasher.hexdigest()
