"""Molecules by the million: drawn in numbered blocks, by any number of processes, resumable.

The job is cut into blocks of a fixed number of draws. Block ``b`` depends on the model, the options
and ``b`` alone, is computed on one thread, and blocks are joined in order; so the molecules are the
same whatever the number of processes, and also when the job was interrupted. On a CPU a block is
one process's; where another device writes it, one process holds that, and the others read.
"""

from molvae.bulk.blocks import (
    Block,
    BulkSummary,
    Exhausted,
    blocks,
    collect,
    draw_block,
    every_draw,
)
from molvae.bulk.options import BulkOptions, Condition
from molvae.bulk.shards import generate_shards

__all__ = [
    "Block",
    "BulkOptions",
    "BulkSummary",
    "Condition",
    "Exhausted",
    "blocks",
    "collect",
    "draw_block",
    "every_draw",
    "generate_shards",
]
