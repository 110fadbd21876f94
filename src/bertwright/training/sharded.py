"""Tensors of which each process holds a share (FSDP), seen whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from bertwright.errors import SettingsError
from bertwright.heads.model import Bert

if TYPE_CHECKING:
    from bertwright.training.settings import ShardingName
    from bertwright.training.world import World


def whole(tensor: Tensor) -> Tensor:
    """The tensor with the shares of all processes, on each of them; itself where it is not shared out."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(pattern: Tensor, tensor: Tensor) -> Tensor:
    """`tensor`, whole and the same on each process, shared out as `pattern` is along its first dimension."""
    if not isinstance(pattern, DTensor):
        return tensor
    # No process need send anything: each has all of it.
    return distribute_tensor(tensor, pattern.device_mesh, pattern.placements, src_data_rank=None)


def reshard(model: nn.Module) -> None:
    """Have each process hold its share alone again.

    A forward pass without gradients leaves the weights outside the layers gathered, under parameters other than those
    that the optimizers know.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def put(target: Tensor, tensor: Tensor) -> None:
    """Copy a whole `tensor` into `target`, of which this process may hold a share."""
    with torch.no_grad():
        target.copy_(like(target, tensor.to(target.device)))


def share_out(model: Bert, world: World, sharding: ShardingName) -> None:
    """Leave each process a share of every layer's weights (FSDP2); to be done before the optimizers are built.

    "hybrid": shares within a node, copies between nodes, so that weights travel within the node alone.
    """
    if sharding == "ddp" or world.size == 1:
        return
    if sharding == "hybrid":
        if world.size % world.in_node:
            what = f"`machine.sharding` is hybrid, and {world.size} processes are no multiple of {world.in_node} a node"
            raise SettingsError(what, cure="start as many on each node, or set it to fsdp")
        shape: tuple[int, ...] = (world.size // world.in_node, world.in_node)
        mesh = init_device_mesh(world.device.type, shape, mesh_dim_names=("replicate", "shard"))
    else:
        mesh = init_device_mesh(world.device.type, (world.size,))
    for layer in model.encoder.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    # Weights are gathered when a module is called; these are how the model is called.
    for method in ("pretraining_scores", "class_scores"):
        register_fsdp_forward_method(model, method)


def gathered(model: Bert) -> Bert:
    """The model with all weights on this process; itself where they are not shared out. Every process calls it."""
    if not isinstance(model, FSDPModule):
        return model
    reshard(model)
    copy = Bert(model.config, model.parts)
    for own, parameter in zip(copy.parameters(), model.parameters(), strict=True):
        put(own, whole(parameter.detach()))
    return copy
