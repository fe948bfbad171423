-- SPDX-License-Identifier: MIT
-- Images: what is saved, what is believed, what is restored.
local image, save, restore, file = "core/image.c", "core/image_save.c", "core/image_restore.c", "core/image_file.c"

return {
  {
    file = image,
    from = "image->blocks > (image->size - IMAGE_HEADER) / IMAGE_BLOCK",
    to = "false",
    breaks = "a header may tell of more blocks than fit into the image",
  },
  {
    file = image,
    from = "if (get32(bytes + 28) != block_check(bytes))",
    to = "if (false)",
    breaks = "the checksum of a block is not looked at",
  },
  {
    file = image,
    from = "block->address < reader->end ||",
    to = "",
    breaks = "blocks of an image may overlap",
  },
  {
    file = image,
    from = "block->granted > image->capacity - block->address ||",
    to = "",
    breaks = "a block of an image may reach past the pool",
  },
  {
    file = image,
    from = "return get64(check) == hpw_checksum(bytes, n)",
    to = "return true",
    breaks = "the checksum of bytes is not looked at",
  },
  {
    file = image,
    from = "if (reader->get(reader->ud, &more, 1)) return",
    to = "if (false) return",
    breaks = "what follows an image is passed over",
  },
  {
    file = save,
    from = "return blocks_is_live(&pool->index.map, at) && !pool_is_held(pool, at);",
    to = "return blocks_is_live(&pool->index.map, at);",
    breaks = "blocks in quarantine are saved as if they were live",
  },
  {
    file = save,
    from = "left -= n;",
    to = "left -= n, bytes -= n > 65535;",
    breaks = "from the second piece on a block is saved a byte off",
  },
  {
    file = save,
    from = "block->flags |= IMAGE_OVER_ALIGNED;",
    to = "block->flags |= 0;",
    breaks = "an image does not know that a block was asked for with an alignment",
  },
  {
    file = restore,
    from = "if (error) pool_reset(pool);",
    to = "",
    breaks = "a pool that could not be restored keeps the blocks that were",
  },
  {
    file = restore,
    from = "if (counts->allocations != counts->frees)",
    to = "if (false)",
    breaks = "an image is restored into a pool with live blocks",
  },
  {
    file = restore,
    from = "guard_set_written(pool->guards, r->block.address, r->block.requested, true);",
    to = "",
    breaks = "with guard full restored bytes count as never written",
  },
  {
    file = restore,
    from = "if (address >= pool_bytes(pool, pool->max_capacity)) return too_high(r);",
    to = "",
    breaks = "a block past the end of the pool is restored",
  },
  {
    file = file,
    from = "unlink(name);",
    to = "",
    breaks = "a file that could not be written whole stays beside the old one",
  },
  {
    file = file,
    from = "old->st_mode & 07777",
    to = "0600",
    breaks = "a pool that is saved again takes the permissions of its file away",
  },
}
