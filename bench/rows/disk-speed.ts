import { open } from 'node:fs/promises'
import { join } from 'node:path'

import type { BenchContext } from '../context.ts'
import { randomFill } from '../random.ts'

const WRITE_BYTES = 8 * 1024 * 1024

/** MB per second of plain writes in order, with one fdatasync at the end: what the disk allows. */
export async function diskSpeed(context: BenchContext): Promise<number> {
  const block = randomFill(WRITE_BYTES, 3)
  const writes = context.quick ? 8 : 128
  await using file = await open(join(await context.workspace.folder('disk'), 'probe.bin'), 'w')
  const began = process.hrtime.bigint()
  for (let index = 0; index < writes; index++) await file.write(block)
  await file.datasync()
  const seconds = Number(process.hrtime.bigint() - began) / 1e9
  return Math.round((writes * WRITE_BYTES) / 1e6 / seconds)
}
